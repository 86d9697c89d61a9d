//! How the gap ledger goes. What it says is in its file; `anetconctl gaps` reads it.

use serde::{Deserialize, Serialize};

/// The ledger as the agent writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerStatus {
    /// Gaps that have not ended: so much is missing now.
    pub open: u64,
    /// Why it cannot be written.
    pub error: Option<String>,
}
