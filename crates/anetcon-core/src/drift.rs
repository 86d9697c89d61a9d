//! Naming the differences between the table that is wanted and the one that is there.
//!
//! Whether there is a difference is `==`; this module only says which, in words for a log line. One cause
//! gives one drift: a rule inserted before four others is one insertion, not five changed rules.

mod chains;
mod kind;
mod rules;
mod sets;

use std::fmt;

pub use self::kind::Kind;
use crate::expr::kernel;
use crate::render;
use crate::table::Table;

/// One difference. Texts in it are nft's words; rules go by their comment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant's sentence says what its fields hold")]
pub enum Drift {
    /// There is no table.
    TableMissing,
    /// The table is dormant: its chains see no packet.
    TableDormant,
    /// The table belongs to another socket, which alone may change it.
    TableOwned { port: u32 },
    /// The table that outlived its owner has none: anybody may wipe it.
    TableUnowned,
    /// Something else about the table: its name or its other flags.
    TableChanged(Change),
    /// Our chain is gone.
    ChainMissing { chain: String },
    /// A chain that is not ours.
    ChainUnexpected { chain: String },
    /// A base chain became one that only jumps reach.
    ChainDetached { chain: String },
    /// A chain became a base chain.
    ChainAttached { chain: String },
    /// The chain's type, hook, priority or policy.
    ChainChanged(Change),
    /// A set is gone.
    SetMissing { set: String },
    /// A set that is not ours.
    SetUnexpected { set: String },
    /// A set's type or flags.
    SetChanged { set: String, change: Change },
    /// A set lacks networks, addresses or protocols; the first ones are named.
    ElementsMissing { set: String, count: usize, first: Vec<String> },
    /// A set holds more than ours; the first ones are named.
    ElementsUnexpected { set: String, count: usize, first: Vec<String> },
    /// A rule is gone.
    RuleMissing { rule: String },
    /// A rule with our comment says something else.
    RuleChanged { rule: String, now: String },
    /// A rule does what ours does under another comment.
    RuleRenamed { rule: String, now: Option<String> },
    /// A rule that is not ours comes before one of ours; positions count from 0.
    RuleInserted { position: usize, text: String },
    /// A rule that is not ours comes after all of ours, or none of ours is left.
    RuleUnexpected { position: usize, text: String },
    /// More rules that are not ours than anybody wants to read about.
    MoreRules { count: usize },
    /// Our rules are all there, in another order; those that moved are named.
    RulesReordered { moved: Vec<String> },
    /// Sets, chains or elements come in another order than that of [`Table`].
    Unsorted { what: &'static str },
}

/// A property that has another value than the wanted one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is about.
    pub property: &'static str,
    /// The value in the kernel.
    pub observed: String,
    /// The value it should have.
    pub wanted: String,
}

impl Change {
    fn between<T: PartialEq>(
        property: &'static str,
        wanted: &T,
        observed: &T,
        text: impl Fn(&T) -> String,
    ) -> Option<Self> {
        (wanted != observed).then(|| Self {
            property,
            observed: text(observed),
            wanted: text(wanted),
        })
    }
}

impl Drift {
    /// Whether connections may have gone without a line while it was so. Who owns a table and whether it stays without its
    /// owner does nothing to a packet.
    pub fn silences(&self) -> bool {
        match self {
            Self::TableUnowned => false,
            Self::TableChanged(change) => change.property != "flags",
            _ => true,
        }
    }
}

/// Every difference, the gravest first; empty exactly if the tables are equal.
pub fn between(wanted: &Table, observed: &Table) -> Vec<Drift> {
    let mut drift = table(wanted, observed);
    drift.extend(chains::compare(&wanted.chains, &observed.chains));
    drift.extend(sets::compare(&wanted.sets, &observed.sets));
    drift
}

fn table(wanted: &Table, observed: &Table) -> Vec<Drift> {
    let mut drift = Vec::new();
    let surplus = observed.flags & !wanted.flags;
    let mut observed_flags = observed.flags;
    if surplus & kernel::TABLE_DORMANT != 0 {
        observed_flags &= !kernel::TABLE_DORMANT;
        drift.push(Drift::TableDormant);
    }
    if let Some(port) = observed.foreign_owner {
        observed_flags = observed_flags & !kernel::TABLE_OWNER | wanted.flags & kernel::TABLE_OWNER;
        drift.push(Drift::TableOwned { port });
    }
    if is_unowned(wanted, observed) {
        observed_flags |= kernel::TABLE_OWNER;
        drift.push(Drift::TableUnowned);
    }
    let name = Change::between("name", &wanted.name, &observed.name, Clone::clone);
    let flags = Change::between("flags", &wanted.flags, &observed_flags, |&flags| {
        render::table_flags(flags).unwrap_or_else(|| "none".to_owned())
    });
    drift.extend(name.into_iter().chain(flags).map(Drift::TableChanged));
    drift
}

/// Whether the table persists and has lost its owner, as it should not.
pub(crate) fn is_unowned(wanted: &Table, observed: &Table) -> bool {
    let orphan =
        observed.flags & (kernel::TABLE_OWNER | kernel::TABLE_PERSIST) == kernel::TABLE_PERSIST;
    orphan && wanted.flags & kernel::TABLE_OWNER != 0
}

/// What is on one side only, and what is on both: items are the same if they have the same name.
struct Pairing<'a, T> {
    both: Vec<(&'a T, &'a T)>,
    missing: Vec<&'a T>,
    unexpected: Vec<&'a T>,
}

fn pair<'a, T>(wanted: &'a [T], observed: &'a [T], name: fn(&T) -> &str) -> Pairing<'a, T> {
    let mut rest: Vec<&T> = observed.iter().collect();
    let mut pairing = Pairing { both: Vec::new(), missing: Vec::new(), unexpected: Vec::new() };
    for item in wanted {
        match rest.iter().position(|other| name(item) == name(other)) {
            Some(index) => pairing.both.push((item, rest.remove(index))),
            None => pairing.missing.push(item),
        }
    }
    pairing.unexpected = rest;
    pairing
}

/// The last resort: nothing else differs, but the lists are not equal.
fn unsorted(what: &'static str, drift: &[Drift], equal: bool) -> Option<Drift> {
    (drift.is_empty() && !equal).then_some(Drift::Unsorted { what })
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.property == "flags" { "are" } else { "is" };
        write!(f, "{} {verb} {}, wanted {}", self.property, self.observed, self.wanted)
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TableMissing => f.write_str("table missing"),
            Self::TableDormant => f.write_str("table is dormant"),
            Self::TableOwned { port } => {
                write!(f, "table is owned by another program (netlink port {port})")
            }
            Self::TableUnowned => f.write_str("table has no owner"),
            Self::TableChanged(change) => write!(f, "table {change}"),
            Self::ChainMissing { chain } => write!(f, "chain {chain} missing"),
            Self::ChainUnexpected { chain } => write!(f, "unexpected chain {chain}"),
            Self::ChainDetached { chain } => write!(f, "chain {chain} is at no hook"),
            Self::ChainAttached { chain } => write!(f, "chain {chain} is at a hook"),
            Self::ChainChanged(change) => write!(f, "chain {change}"),
            Self::SetMissing { set } => write!(f, "set {set} missing"),
            Self::SetUnexpected { set } => write!(f, "unexpected set {set}"),
            Self::SetChanged { set, change } => write!(f, "set {set}: {change}"),
            Self::ElementsMissing { set, count, first } => {
                write!(f, "set {set} lacks {count} {}", listed(*count, first))
            }
            Self::ElementsUnexpected { set, count, first } => {
                write!(f, "set {set} holds {count} unexpected {}", listed(*count, first))
            }
            Self::RuleMissing { rule } => write!(f, "rule `{rule}` missing"),
            Self::RuleChanged { rule, now } => write!(f, "rule `{rule}` changed to `{now}`"),
            Self::RuleRenamed { rule, now: Some(now) } => {
                write!(f, "rule `{rule}` has the comment {now:?}")
            }
            Self::RuleRenamed { rule, now: None } => {
                write!(f, "rule `{rule}` has lost its comment")
            }
            Self::RuleInserted { position, text } => {
                write!(f, "rule inserted before ours at {position}: `{text}`")
            }
            Self::RuleUnexpected { position, text } => {
                write!(f, "unexpected rule at {position}: `{text}`")
            }
            Self::MoreRules { count } => write!(f, "{count} more unexpected rules"),
            Self::RulesReordered { moved } => {
                write!(f, "rules reordered: `{}` moved", moved.join("`, `"))
            }
            Self::Unsorted { what } => write!(f, "{what} listed in another order"),
        }
    }
}

/// `elements (10.0.0.0/8, 10.1.0.0/16, ...)`.
fn listed(count: usize, first: &[String]) -> String {
    let noun = if count == 1 { "element" } else { "elements" };
    let more = if count > first.len() { ", ..." } else { "" };
    format!("{noun} ({}{more})", first.join(", "))
}
