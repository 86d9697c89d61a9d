//! Network namespaces of this host: which there are, when they come and go, how to work inside one, which
//! links they have, and the one setting that lets them log.
//!
//! Nothing here knows nf_tables or decides what is audited.

#![forbid(unsafe_code)]

mod enter;
mod error;
mod folder;
pub mod links;
pub mod list;
mod pending;
mod ready;
mod roster;
pub mod sysctl;
pub mod watch;

pub use enter::{NetnsRef, Opener};
pub use error::Error;
pub use list::list;
pub use ready::ready;
pub use watch::{Event, Watcher};
