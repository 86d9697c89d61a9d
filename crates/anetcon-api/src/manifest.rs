//! How the manifest of rotated files goes. `anetconctl manifest` reads it.

use serde::{Deserialize, Serialize};

/// The manifest as the agent writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ManifestStatus {
    /// Files that are listed.
    pub entries: u64,
    /// The SHA-256 of the last entry, in hex. Kept elsewhere, it tells that nothing was cut off.
    pub head: Option<String>,
    /// Why files cannot be listed.
    pub error: Option<String>,
}
