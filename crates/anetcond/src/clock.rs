//! Times as the control socket writes them.

use jiff::Timestamp;

/// Now, RFC 3339, UTC, microseconds.
pub fn now() -> String {
    format!("{:.6}", Timestamp::now())
}
