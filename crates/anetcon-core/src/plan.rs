//! The plan: what to do in a namespace so that what is wanted is in force.
//!
//! A pure comparison. Nothing is patched rule by rule: a table that differs in any way gets all of its content anew, in
//! one batch. Only the chain stays where it is if it is right: while one chain takes the place of another at a hook, a
//! packet in flight can meet both of them, and would be logged twice.

use std::fmt;

use crate::drift::{self, Drift};
use crate::expr::kernel;
use crate::observed::Observed;
use crate::table::{Chain, Table};

/// What to do in one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// What is wanted is in force: send nothing.
    Nothing,
    /// Put the table in the place of whatever is there, in one batch.
    Replace {
        /// The table to write.
        wanted: Table,
        /// The `NFT_TABLE_F_*` flags of the table that is there; `None`: there is none.
        existing_flags: Option<u32>,
        /// Why, never empty.
        drift: Vec<Drift>,
    },
    /// Give the chains that are there their rules and sets anew, in one batch.
    Refill {
        /// The table to write.
        wanted: Table,
        /// The names of the sets that are there.
        existing_sets: Vec<String>,
        /// Why, never empty.
        drift: Vec<Drift>,
    },
    /// Become the owner of a table that has none any more. What is in it stays, and goes on counting.
    Claim {
        /// The table's name.
        name: String,
        /// The `NFT_TABLE_F_*` flags that it gets.
        flags: u32,
        /// Why, never empty.
        drift: Vec<Drift>,
    },
    /// Delete the table: this namespace is not audited.
    Remove {
        /// The table's name.
        name: String,
    },
}

/// Compares what should be in force (`None`: nothing) with what is. [`Plan::Nothing`] exactly if they are
/// equal; counters do not count.
pub fn plan(wanted: Option<&Table>, observed: &Observed) -> Plan {
    match (wanted, &observed.table) {
        (None, None) => Plan::Nothing,
        (None, Some(table)) => Plan::Remove { name: table.name.clone() },
        (Some(wanted), None) => Plan::Replace {
            wanted: wanted.clone(),
            existing_flags: None,
            drift: vec![Drift::TableMissing],
        },
        (Some(wanted), Some(table)) if wanted == table => Plan::Nothing,
        (Some(wanted), Some(table)) => differing(wanted.clone(), table),
    }
}

fn differing(wanted: Table, table: &Table) -> Plan {
    let drift = drift::between(&wanted, table);
    // What else differs is seen when it is ours.
    if drift::is_unowned(&wanted, table) && wanted.flags == table.flags | kernel::TABLE_OWNER {
        return Plan::Claim { name: wanted.name, flags: wanted.flags, drift };
    }
    if same_chains(&wanted, table) {
        let existing_sets = table.sets.iter().map(|set| set.name.clone()).collect();
        Plan::Refill { wanted, existing_sets, drift }
    } else {
        Plan::Replace { wanted, existing_flags: Some(table.flags), drift }
    }
}

/// Whether the tables differ in rules and sets only.
fn same_chains(wanted: &Table, table: &Table) -> bool {
    let chain = |chain: &Chain| (chain.name.clone(), chain.base.clone());
    wanted.name == table.name
        && wanted.flags == table.flags
        && wanted.chains.iter().map(chain).eq(table.chains.iter().map(chain))
}

impl Plan {
    /// Why it is needed; empty for [`Plan::Nothing`] and [`Plan::Remove`].
    pub fn drift(&self) -> &[Drift] {
        match self {
            Self::Replace { drift, .. }
            | Self::Refill { drift, .. }
            | Self::Claim { drift, .. } => drift,
            Self::Nothing | Self::Remove { .. } => &[],
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing to do"),
            Self::Remove { name } => write!(f, "remove table inet {name}"),
            Self::Claim { name, .. } => {
                write!(f, "claim table inet {name}").and_then(|()| self.reasons(f))
            }
            Self::Replace { wanted, .. } => {
                write!(f, "replace table inet {}", wanted.name).and_then(|()| self.reasons(f))
            }
            Self::Refill { wanted, .. } => {
                write!(f, "refill table inet {}", wanted.name).and_then(|()| self.reasons(f))
            }
        }
    }
}

impl Plan {
    fn reasons(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, drift) in self.drift().iter().enumerate() {
            write!(f, "{} {drift}", if index == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}
