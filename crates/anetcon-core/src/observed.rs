//! What a dump of one namespace said about our table.

use crate::table::Table;

/// The state of our table in one namespace, from one consistent dump.
///
/// A dump that failed or was interrupted is an error at the edge and never becomes a value of this
/// type: a failed dump is not an empty table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Our table; `None` if there is none of its name.
    pub table: Option<Table>,
    /// The counters of its rules, in rule order.
    pub counters: Vec<RuleCounter>,
    /// The ruleset generation (`NFTA_GEN_ID`) at which all of this was true.
    pub generation: u32,
}

/// What one rule counted since it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCounter {
    /// The rule's comment, which names its [`Kind`](crate::prefix::Kind).
    pub comment: Option<String>,
    /// Packets; in a nat chain one packet is one connection.
    pub packets: u64,
    /// Bytes of those packets.
    pub bytes: u64,
}
