//! Tamper evidence: what was rotated away is listed with its hash, and each entry holds the hash of the one before.
//!
//! `entry` is a line, `digest` what is known of a file, `chain` the file of the entries, `keeper` the thread that lists, `verify` the way back.
//! Whoever can write the chain can write it anew from any place on; so its head, the hash of the last entry, is told to the
//! agent's own log and by `anetconctl manifest list`: kept elsewhere, it is what the rest hangs on.

mod chain;
mod digest;
mod entry;
mod keeper;
mod verify;

pub use chain::{Chain, Fault};
pub use entry::{Entry, Hash};
pub use keeper::{Listed, Manifest, ManifestStatus};
pub use verify::{Finding, Report, State, verify};

/// The file in the state directory.
pub const FILE_NAME: &str = "manifest.ndjson";
