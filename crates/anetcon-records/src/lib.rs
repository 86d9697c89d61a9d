//! What goes on record: the kernel log lines of our rules, and session records; and the search in both.
//!
//! Kernel lines are the capture plane of `log.writer = "agent"`: read from /dev/kmsg, sorted by prefix, written to the two log
//! files. `kmsg`, `sequence`, `sort`, `line` and `clock` are pure; `device`, `reader`, `file`, `tail`, `position` and `system` are the
//! edges; `capture` owns the thread that ties them together. `session` writes one record per connection, and `search` finds
//! connections again in all of these files. Nothing here may know netlink or enter a namespace, and nothing here runs on an
//! async runtime.

#![forbid(unsafe_code)]

pub mod capture;
pub mod clock;
pub mod counters;
pub mod device;
pub mod file;
mod health;
pub mod kmsg;
pub mod ledger;
pub mod line;
pub mod manifest;
mod output;
pub mod position;
pub mod reader;
pub mod search;
pub mod sequence;
pub mod session;
pub mod sort;
pub mod system;
pub mod tail;
mod teller;
mod worker;

pub use capture::{Capture, CaptureConfig, CaptureError};
pub use counters::{Counters, Event};
