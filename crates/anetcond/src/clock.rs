//! Times as the control socket writes them.

use jiff::Timestamp;

/// Now, RFC 3339, UTC, microseconds.
pub fn now() -> String {
    text(Timestamp::now())
}

/// Any time, in the same way.
pub fn text(time: Timestamp) -> String {
    format!("{time:.6}")
}
