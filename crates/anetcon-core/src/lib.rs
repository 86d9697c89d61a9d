//! The pure core of anetcon: what should be in force in a namespace, what is, and what to do about it.
//!
//! `desired = f(config, namespace)`, `observed = dump`, `plan = diff(desired, observed)`: each of these
//! is a value of this crate. No socket, file, clock, thread or async runtime may enter here; the
//! crates at the edges do the IO and call in.

#![forbid(unsafe_code)]

pub mod balance;
pub mod config;
pub mod desired;
pub mod drift;
pub mod exposure;
pub mod expr;
pub mod hashfile;
mod lcs;
pub mod ledger;
pub mod legacy;
pub mod netns;
pub mod observed;
pub mod plan;
pub mod prefix;
pub mod protect;
pub mod render;
pub mod ruleset;
pub mod schedule;
pub mod select;
pub mod session;
pub mod table;
pub mod takeover;
pub mod tally;
