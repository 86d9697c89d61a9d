//! Attribute bytes of a dump -> the core's types. Pure, and total: any bytes give a value or [`Malformed`].
//!
//! What we never write must not vanish on the way: an attribute or expression that we do not know, or know and do not
//! use, is kept in a form that cannot equal anything wanted. Left out are only facts that do nothing to a
//! packet: handles, positions, counters, and the comments of tables, chains, sets and elements.

#[cfg(test)]
mod damaged;
mod expression;
mod foreign;
mod nat;
mod set;
#[cfg(test)]
mod tests;

pub(crate) use foreign::{foreign_chain, untracked_rule};
pub(crate) use nat::{nat_chain, nat_rule};
pub(crate) use set::{elements, set};

use anetcon_core::expr::Expr;
use anetcon_core::observed::RuleCounter;
use anetcon_core::table::{BaseChain, Chain, Rule};
use anetcon_netlink::Malformed;
use anetcon_netlink::attribute::{Fields, text};

/// `NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE`, `NFTA_RULE_TABLE`, ...: in every message attribute 1 is the table.
pub(crate) const TABLE: u16 = 1;

/// Takes a value nested as `NFTA_DATA_VALUE` (1), and nothing else beside it.
fn take_value(fields: &mut Fields<'_>, kind: u16) -> Option<Vec<u8>> {
    let mut nest = Fields::read(fields.take(kind)?).ok()?;
    let value = nest.take(1)?;
    nest.is_empty().then(|| value.to_vec())
}

/// The table that a message is about.
pub(crate) fn table_of(attributes: &[u8]) -> Result<String, Malformed> {
    Fields::read(attributes)?.take_text(TABLE).ok_or(Malformed("table name"))
}

/// A table without what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DumpedTable {
    pub(crate) name: String,
    /// `NFT_TABLE_F_*`.
    pub(crate) flags: u32,
    /// The port of the socket that owns it (`NFTA_TABLE_OWNER`).
    pub(crate) owner: Option<u32>,
}

/// A table.
pub(crate) fn table(attributes: &[u8]) -> Result<DumpedTable, Malformed> {
    let mut fields = Fields::read(attributes)?;
    let name = fields.take_text(TABLE).ok_or(Malformed("table name"))?;
    let flags = fields.take_u32(2).ok_or(Malformed("table flags"))?;
    let owner = fields.take_u32(7);
    Ok(DumpedTable { name, flags, owner })
}

/// A chain without its rules.
pub(crate) fn chain(attributes: &[u8]) -> Result<Chain, Malformed> {
    let mut fields = Fields::read(attributes)?;
    let name = fields.take_text(3).ok_or(Malformed("chain name"))?;
    let base = fields.take(4).map(|hook| base_chain(hook, &mut fields)).transpose()?;
    Ok(Chain { name, base, rules: Vec::new() })
}

/// `NFTA_CHAIN_FLAGS` of every base chain (`NFT_CHAIN_BASE`).
const BASE: u32 = 1;

/// The hook (`NFTA_CHAIN_HOOK`) and what belongs to it. Devices and flags have no field: they go into the kind.
fn base_chain(hook: &[u8], chain: &mut Fields<'_>) -> Result<BaseChain, Malformed> {
    let mut fields = Fields::read(hook)?;
    let hook = fields.take_u32(1).ok_or(Malformed("chain hook"))?;
    let priority = fields.take_u32(2).ok_or(Malformed("chain priority"))?;
    let mut kind = chain.take_text(7).ok_or(Malformed("chain type"))?;
    let policy = chain.take_u32(5).ok_or(Malformed("chain policy"))?;
    if !fields.is_empty() {
        kind.push_str(" with devices");
    }
    if let Some(flags) = chain.take_u32(10).filter(|&flags| flags != BASE) {
        kind.push_str(&format!(" with flags {flags:#x}"));
    }
    Ok(BaseChain { kind, hook, priority: priority.cast_signed(), policy })
}

/// A rule as dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DumpedRule {
    /// The chain it belongs to.
    pub(crate) chain: String,
    /// The rule.
    pub(crate) rule: Rule,
    /// Packets and bytes of its first counter.
    pub(crate) counter: Option<(u64, u64)>,
}

impl DumpedRule {
    /// What it counted, if it has a counter.
    pub(crate) fn counted(&self) -> Option<RuleCounter> {
        let (packets, bytes) = self.counter?;
        Some(RuleCounter { comment: self.rule.comment.clone(), packets, bytes })
    }
}

/// A rule. Dumps give the rules of a chain in the order in which packets meet them.
pub(crate) fn rule(attributes: &[u8]) -> Result<DumpedRule, Malformed> {
    let mut fields = Fields::read(attributes)?;
    let chain = fields.take_text(2).ok_or(Malformed("rule's chain"))?;
    let list = fields.take(4).unwrap_or_default();
    let (mut exprs, counter) = expression::list(list)?;
    let comment = match fields.take(7).map(comment) {
        Some(Some(comment)) => Some(comment),
        // User data that holds more than a comment is not ours.
        Some(None) => {
            exprs.push(Expr::Other { name: "user data".into(), data: Vec::new() });
            None
        }
        None => None,
    };
    // Table, handle, position (the handle of the rule before), padding and the numbers of a batch.
    fields.ignore(&[TABLE, 3, 6, 8, 9, 10, 11]);
    exprs.extend(fields.left().iter().map(|attribute| Expr::Other {
        name: format!("rule attribute {}", attribute.kind),
        data: attribute.data.to_vec(),
    }));
    Ok(DumpedRule { chain, rule: Rule { comment, exprs }, counter })
}

/// The comment in a rule's user data, if that holds exactly one: type 0, length, text.
fn comment(user_data: &[u8]) -> Option<String> {
    match user_data {
        [0, length, comment @ ..] if usize::from(*length) == comment.len() => Some(text(comment)),
        _ => None,
    }
}

/// Generation, and who made it: `NFTA_GEN_ID`, `NFTA_GEN_PROC_PID` (a thread id), `NFTA_GEN_PROC_NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generation {
    pub(crate) id: u32,
    pub(crate) tid: u32,
    pub(crate) name: String,
}

/// A `NFT_MSG_NEWGEN`.
pub(crate) fn generation(attributes: &[u8]) -> Result<Generation, Malformed> {
    let mut fields = Fields::read(attributes)?;
    let id = fields.take_u32(1).ok_or(Malformed("generation"))?;
    let tid = fields.take_u32(2).unwrap_or_default();
    let name = fields.take_text(3).unwrap_or_default();
    Ok(Generation { id, tid, name })
}
