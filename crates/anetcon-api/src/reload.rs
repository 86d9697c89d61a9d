//! The answer to a reload that worked.

use serde::{Deserialize, Serialize};

use crate::Schema;

/// The configuration was read and is in force. A bad one is refused with code 422 instead, and the
/// running one stays in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// `1`.
    pub schema: Schema,
    /// The file that was read; `None` if the agent runs on defaults.
    pub file: Option<String>,
    /// When it came into force.
    pub loaded: String,
    /// One short phrase for each key that changed (`period: 30 -> 60`). Empty: nothing changed.
    pub changes: Vec<String>,
    /// Namespaces that are selected now and were not before.
    pub added: Vec<String>,
    /// Namespaces that are no longer selected and lose our table.
    pub removed: Vec<String>,
}
