//! Which namespaces there are, and the way into each.

use std::path::PathBuf;

use anetcon_core::netns::NetnsName;
use anetcon_core::observed::Observed;
use anetcon_netns::links::{self, Link};
use anetcon_netns::{NetnsRef, Opener, list};
use anetcon_nft::{Monitor, RulesSocket};

use crate::{Error, NetnsRules};

/// The namespaces of this machine, as far as they are in the given folders.
#[derive(Debug)]
pub struct Host {
    opener: Opener,
    directories: Vec<PathBuf>,
}
