//! Finds the connections that had an address, in session records and kernel log lines, plain or packed.
//!
//! `address`, `time` and `query` are pure: what is asked and what fits. `files` knows which files there are and where in them a
//! time is, `blocks` and `filter` get through them fast, `scan` shares the work among threads. Memory does not grow with the
//! files: every thread has one buffer, and only the best answers are kept. `ranking` does the same with records that come from a
//! database. Needs no agent.

pub mod address;
mod arguments;
mod best;
pub(crate) mod blocks;
mod count;
pub(crate) mod files;
mod filter;
mod kernel;
pub mod query;
mod ranking;
mod refused;
mod scan;
mod sources;
pub mod time;

pub use address::{Asked, endpoint};
pub use arguments::{namespace, transport};
pub use best::{Answer, Hit};
pub(crate) use count::{Wanted, count};
pub use files::{Content, Packing};
pub use kernel::KernelLine;
pub use query::{Fit, Query, Role, Span};
pub use ranking::Ranking;
pub use refused::Refused;
pub use scan::{Damage, FileReport, Found, search};
pub use sources::Sources;
pub use time::{Moment, length};
