//! What others have in a namespace that bears on our rules: chains, and rules that take packets away from them.
//!
//! Only what is told apart by it is kept. What it means for an audit is decided where it is asked.

/// All chains of one namespace, of every family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ruleset {
    /// The chains.
    pub chains: Vec<ForeignChain>,
    /// The rules that keep packets from connection tracking.
    pub untracked: Vec<ForeignRule>,
}

/// Where a chain is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// nft's word for the family: `ip`, `inet`, ...
    pub family: &'static str,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignChain {
    /// Where.
    pub place: Place,
    /// How it is attached; `None`: a chain that only jumps reach.
    pub base: Option<crate::table::BaseChain>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRule {
    /// Its chain.
    pub place: Place,
    /// The kernel's number of it in its table.
    pub handle: u64,
}

/// nft's word for a family (`NFPROTO_*`, linux/netfilter.h).
pub fn family(number: u8) -> &'static str {
    match number {
        1 => "inet",
        2 => "ip",
        3 => "arp",
        5 => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "unknown",
    }
}
