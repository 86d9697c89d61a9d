//! How the metrics go that are told elsewhere than on the control socket.

use serde::{Deserialize, Serialize};

/// Where they are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MetricsStatus {
    /// The TCP address, if there is one.
    pub listen: Option<String>,
    /// The file for node_exporter, if there is one.
    pub textfile: Option<String>,
    /// Why the file cannot be written.
    pub error: Option<String>,
}
