//! The namespaces of this host, opened and programmed: the one way in for the agent and for the CLI.
//!
//! It joins what the IO crates do apart: anetcon-netns enters a namespace, anetcon-nft speaks to its
//! kernel, anetcon-core says what to do. When to do it is the caller's decision; nothing here
//! schedules, watches or remembers.

#![forbid(unsafe_code)]

mod connections;
mod error;
mod host;
mod rules;

pub use self::connections::NetnsConnections;
pub use self::error::Error;
pub use self::host::{FileId, Host};
pub use self::rules::{NetnsRules, Pass};
pub use anetcon_conntrack::{Conntrack, Drained, Dumped, Filter};
pub use anetcon_netns::links::Link;
pub use anetcon_netns::list::{Listed, Listing, Skipped};
pub use anetcon_nft::{Author, Changes, RulesSocket, clock_is_synchronised, inherited};
