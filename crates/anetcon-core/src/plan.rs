//! The plan: what to do in a namespace so that what is wanted is in force.
//!
//! A pure comparison. Nothing is patched in place: a table that differs in any way is replaced as a whole in
//! one batch, so that there is one way to write and it is always the tested one.

use std::fmt;

use crate::drift::{self, Drift};
use crate::observed::Observed;
use crate::table::Table;

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
    /// Delete the table: this namespace is not audited.
    Remove {
        /// The table's name.
        name: String,
    },
}

/// Compares what should be in force (`None`: nothing) with what is. [`Plan::Nothing`] exactly if they are
/// equal; counters do not count.
pub fn plan(wanted: Option<&Table>, observed: &Observed) -> Plan {
    let replace = |wanted: &Table, existing_flags, drift| Plan::Replace {
        wanted: wanted.clone(),
        existing_flags,
        drift,
    };
    match (wanted, &observed.table) {
        (None, None) => Plan::Nothing,
        (None, Some(table)) => Plan::Remove { name: table.name.clone() },
        (Some(wanted), None) => replace(wanted, None, vec![Drift::TableMissing]),
        (Some(wanted), Some(table)) if wanted == table => Plan::Nothing,
        (Some(wanted), Some(table)) => {
            replace(wanted, Some(table.flags), drift::between(wanted, table))
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing to do"),
            Self::Remove { name } => write!(f, "remove table inet {name}"),
            Self::Replace { wanted, drift, .. } => {
                write!(f, "replace table inet {}", wanted.name)?;
                for (index, drift) in drift.iter().enumerate() {
                    write!(f, "{} {drift}", if index == 0 { ":" } else { ";" })?;
                }
                Ok(())
            }
        }
    }
}
