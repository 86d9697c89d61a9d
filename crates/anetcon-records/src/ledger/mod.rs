//! The gap ledger's files: appended to by one thread of the agent, read by anybody.
//!
//! `alive` is the sign of life, `book` the file, `culprit` what /proc knows of a thread, `handle` what the
//! agent tells, `keeper` the thread behind it, `read` the way back. What a line means is
//! the core's; when a gap begins and ends is the agent's.

mod alive;
mod book;
mod culprit;
mod handle;
mod keeper;
mod read;

pub use alive::Beat;
pub use handle::{Facts, Ledger, LedgerConfig, LedgerStatus, Place};
pub use read::{Read, read};

/// The file in the state directory; those that it was rotated to have the time behind the name.
pub const FILE_NAME: &str = "ledger.ndjson";

/// The sign of life beside it.
pub const ALIVE_NAME: &str = "alive";
