//! nf_tables over netlink: one namespace's table read, written in one batch, and watched.
//!
//! [`RulesSocket`] turns a plan of the core into a batch and a dump into the core's [`Observed`]; [`Monitor`] turns
//! events into "look again". No decision is made here. The only unsafe code of the workspace is in `ffi`.
//!
//! [`Observed`]: anetcon_core::observed::Observed

#![deny(unsafe_code)]

mod ack;
mod batch;
mod decode;
mod dump;
mod error;
#[allow(unsafe_code, reason = "the one place for it: see its head")]
mod ffi;
mod message;
mod monitor;
mod netlink;
mod request;
mod socket;
mod transaction;
mod word;

pub use anetcon_netlink::Malformed;
pub use error::Error;
pub use ffi::{clock_is_synchronised, inherited};
pub use monitor::{Author, Changes, Monitor};
pub use netlink::PortId;
pub use socket::RulesSocket;
