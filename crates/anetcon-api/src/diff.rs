//! What should be in force against what the kernel holds.

use serde::{Deserialize, Serialize};

use crate::Schema;

/// One entry for each namespace that was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// `1`.
    pub schema: Schema,
    /// Sorted by name.
    pub namespaces: Vec<NamespaceDiff>,
}

/// The difference in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceDiff {
    /// The namespace's name.
    pub namespace: String,
    /// Whether the kernel holds exactly what is wanted. False also if it could not be asked.
    pub in_force: bool,
    /// nft text; each line starts with ` ` (both), `-` (in the kernel only) or `+` (wanted only).
    /// Empty when in force.
    pub text: String,
    /// Why the kernel could not be asked.
    pub error: Option<String>,
}
