//! What keeps others from wiping our table, decided from the configuration and what the kernel and the service manager can.
//!
//! A table with an owner (`NFT_TABLE_F_OWNER`, kernel 5.12) can be changed by the socket that made it, and by nobody else: `nft flush
//! ruleset` leaves it alone, and an `nft -f` of a file that names it is refused. It goes with its socket, unless it also
//! persists (`NFT_TABLE_F_PERSIST`, kernel 6.9: then it stays, and anybody may wipe it) or the service manager keeps the
//! socket open (its file descriptor store).

use std::fmt;

use crate::expr::kernel;
use crate::netns::NetnsName;

/// `rules.protect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protect {
    /// In named namespaces, where the table outlives the agent. Never in the root namespace: `nft -f` of a saved ruleset
    /// that holds our table would be refused there.
    #[default]
    Auto,
    /// Wherever the kernel can.
    On,
    /// Nowhere.
    Off,
}

/// What can be had on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Guarantees {
    /// The kernel knows owners.
    pub owner: bool,
    /// The kernel lets a table stay when its owner goes.
    pub persist: bool,
    /// The service manager keeps sockets over a restart.
    pub store: bool,
}

/// How a table is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Protection {
    /// Not at all: it is put back.
    #[default]
    Plain,
    /// By its socket, and it goes with the agent.
    Owned,
    /// By its socket, and it stays, unprotected, when the agent dies.
    Persistent,
    /// By its socket, which the service manager keeps when the agent dies.
    Stored,
}

impl Protect {
    /// How the table of a namespace is protected.
    pub fn protection(self, netns: &NetnsName, can: Guarantees) -> Protection {
        let lasting = match can {
            Guarantees { owner: true, store: true, .. } => Protection::Stored,
            Guarantees { owner: true, persist: true, .. } => Protection::Persistent,
            _ => Protection::Plain,
        };
        match self {
            Self::Off => Protection::Plain,
            Self::Auto if netns.is_root() => Protection::Plain,
            Self::On if lasting == Protection::Plain && can.owner => Protection::Owned,
            Self::Auto | Self::On => lasting,
        }
    }
}

impl Protection {
    /// The `NFT_TABLE_F_*` flags of such a table.
    pub fn flags(self) -> u32 {
        match self {
            Self::Plain => 0,
            Self::Owned | Self::Stored => kernel::TABLE_OWNER,
            Self::Persistent => kernel::TABLE_OWNER | kernel::TABLE_PERSIST,
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Owned => "owned",
            Self::Persistent => "persistent",
            Self::Stored => "stored",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_protects_a_table() {
        use Protection::{Owned, Persistent, Plain, Stored};
        let router = NetnsName::named("qrouter-1").unwrap();
        let root = NetnsName::root();
        // Owner, persist, store; then auto and on, each in a named namespace and in the root namespace.
        let cases = [
            ([false, false, false], [Plain, Plain, Plain, Plain]),
            ([false, false, true], [Plain, Plain, Plain, Plain]),
            ([true, false, false], [Plain, Plain, Owned, Owned]),
            ([true, true, false], [Persistent, Plain, Persistent, Persistent]),
            ([true, false, true], [Stored, Plain, Stored, Stored]),
            ([true, true, true], [Stored, Plain, Stored, Stored]),
        ];
        for ([owner, persist, store], expected) in cases {
            let can = Guarantees { owner, persist, store };
            let got = [Protect::Auto, Protect::On]
                .map(|protect| [&router, &root].map(|netns| protect.protection(netns, can)));
            assert_eq!(got.concat(), expected, "{can:?}");
            assert_eq!(Protect::Off.protection(&router, can), Plain);
        }
    }
}
