//! Connection tracking of one namespace over netlink: each new connection as an event, all open ones by a dump.
//!
//! [`Conntrack`] turns the kernel's messages into the core's [`Event`]s. Which of them are put on record, and that none
//! is written twice, is decided elsewhere; so is when to read.

#![forbid(unsafe_code)]

mod conntrack;
mod decode;
mod dump;
mod error;
mod filter;
mod socket;

pub use anetcon_core::session::Event;

pub use crate::conntrack::{Conntrack, Drained};
pub use crate::dump::Dumped;
pub use crate::error::Error;
pub use crate::filter::Filter;
