//! Session records: one NDJSON line per connection with both sides of its translation, and the thread that writes them.
//!
//! `record` and `build` are pure: the line's shape, and how the kernel's two tuples become its fields. `community` joins a
//! record with the sensors on either side of the router. `known` remembers what is on record already; for what it
//! does not, `history` searches the files, and `doubts` holds what waits for that. `log` is the handle with
//! its bounded queue, `writer` the thread behind it. How connections are learnt of must not be known here.

mod build;
pub mod community;
pub mod counters;
mod doubts;
mod error;
mod history;
pub mod known;
mod log;
pub mod record;
mod writer;

pub use build::{Origin, Run};
pub use counters::SessionCounters;
pub use error::SessionError;
pub use known::Known;
pub use log::{SessionLog, SessionLogConfig};
pub use record::SessionRecord;
