//! A table as the kernel holds it: the one shape for what we want and for what a dump says.
//!
//! Both sides of the comparison are the same types, so "is it in force" is `==`; naming the
//! differences is the planner's work.

use crate::expr::Expr;

/// A table of family inet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The table's name.
    pub name: String,
    /// `NFT_TABLE_F_*` flags: a wanted table has those of its protection; a dormant one logs nothing.
    pub flags: u32,
    /// The port of the socket that owns it, if that is not the one that it was read with. A wanted table has none.
    pub foreign_owner: Option<u32>,
    /// The named sets, sorted by name.
    pub sets: Vec<Set>,
    /// The chains, sorted by name. A wanted table has one.
    pub chains: Vec<Chain>,
}

/// A chain and its rules in the order in which packets meet them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The chain's name.
    pub name: String,
    /// Where packets enter. `None`: a chain that only jumps reach.
    pub base: Option<BaseChain>,
    /// The rules, first one first.
    pub rules: Vec<Rule>,
}

/// How a base chain is attached (`type nat hook postrouting priority -150; policy accept`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseChain {
    /// `nat`, `filter` or `route`.
    pub kind: String,
    /// `NF_INET_*` hook number.
    pub hook: u32,
    /// Lower runs earlier.
    pub priority: i32,
    /// `NF_ACCEPT` (1) or `NF_DROP` (0).
    pub policy: u32,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The comment in the rule's user data; exporters name rules by it.
    pub comment: Option<String>,
    /// What the rule does, first word first.
    pub exprs: Vec<Expr>,
}

/// A named set of addresses or protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// The set's name.
    pub name: String,
    /// nft's data type number of the key (`NFTA_SET_KEY_TYPE`).
    pub key_type: u32,
    /// Length of a key in bytes.
    pub key_len: u32,
    /// `NFT_SET_*` flags.
    pub flags: u32,
    /// The elements, sorted. In an interval set each range is its first key and, marked
    /// [`interval_end`](Element::interval_end), the key after its last.
    pub elements: Vec<Element>,
}

/// One element of a set, as the kernel holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// The key in network byte order.
    pub key: Vec<u8>,
    /// `NFT_SET_ELEM_INTERVAL_END`: the range before this key has ended.
    pub interval_end: bool,
    /// The element carries what we never write (a timeout, a verdict, an expression): it differs.
    pub foreign: bool,
}
