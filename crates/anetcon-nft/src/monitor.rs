//! The events of one namespace's ruleset: did somebody else change our table, and who.
//!
//! Events are hints. They say that a look is worth it; what is in force only a dump can tell. So anything that is
//! lost or not understood counts as a change.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use anetcon_core::netns::NetnsCookie;
use anetcon_core::observed::RuleCounter;

use crate::error::Error;
use crate::message;
use crate::netlink::{self, PortId, Socket};
use crate::transaction::Transaction;

/// The bit of `NFNLGRP_NFTABLES` (7) in a netlink address.
const RULESET_EVENTS: u32 = 1 << 6;

/// A socket that receives the ruleset events of one namespace.
///
/// Like every socket it keeps its namespace alive.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    transaction: Transaction,
}

/// What happened since the last look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Somebody else changed our table, or it cannot be ruled out.
    pub touched: bool,
    /// Events were lost or not understood: only a full comparison can tell.
    pub lost: bool,
    /// Who made the foreign transactions that touched our table, in their order. The author of a transaction
    /// comes with its last message, and so maybe only with the next [`drain`](Monitor::drain).
    pub authors: Vec<Author>,
    /// What the rules of our table that were removed, by anybody, had counted until then.
    pub removed: Vec<RuleCounter>,
}

/// Who made a transaction, as the kernel tells at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The id of the thread (`NFTA_GEN_PROC_PID`), which may have ended since.
    pub tid: u32,
    /// The name of the thread (`NFTA_GEN_PROC_NAME`), up to 15 bytes.
    pub name: String,
    /// The generation that the transaction made.
    pub generation: u32,
}

impl Monitor {
    /// Opens a monitor in the current network namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::Socket`], `EPERM` without `CAP_NET_ADMIN` in the namespace.
    pub fn open() -> Result<Self, Error> {
        Ok(Self::over(Socket::open(RULESET_EVENTS)?))
    }

    /// Takes over a monitor's socket that an earlier run of the agent opened. Events may be waiting in it.
    ///
    /// # Errors
    /// [`Error::Adopted`] for a file descriptor that is no netfilter socket with ruleset events.
    pub fn adopt(fd: OwnedFd) -> Result<Self, Error> {
        Ok(Self::over(Socket::adopt(fd, RULESET_EVENTS)?))
    }

    fn over(socket: Socket) -> Self {
        Self { socket, transaction: Transaction::default() }
    }

    /// The identity of the socket's namespace.
    ///
    /// # Errors
    /// As [`RulesSocket::cookie`](crate::RulesSocket::cookie).
    pub fn cookie(&self) -> Result<NetnsCookie, Error> {
        self.socket.cookie()
    }

    /// Reads all events that are there. `own` is the port of the socket with which we change the table.
    ///
    /// # Errors
    /// [`Error::Socket`] if the socket cannot be read at all. Lost or odd events are no error but `lost`.
    pub fn drain(&mut self, table: &str, own: PortId) -> Result<Changes, Error> {
        let mut changes = Changes::default();
        let mut buffer = netlink::buffer();
        loop {
            let understood = match self.socket.receive(&mut buffer) {
                Ok(Some(datagram)) => {
                    take(&mut self.transaction, datagram, table, own, &mut changes)
                }
                Ok(None) => break,
                Err(Error::Overrun) => false,
                Err(error) => return Err(error),
            };
            if !understood {
                self.transaction.tear();
                changes.lost = true;
                changes.touched = true;
            }
        }
        self.transaction.settle();
        Ok(changes)
    }
}

/// Takes in the messages of a datagram; false if one of them was not understood. The others still count.
fn take(
    transaction: &mut Transaction,
    datagram: &[u8],
    table: &str,
    own: PortId,
    changes: &mut Changes,
) -> bool {
    let Ok(messages) = message::split(datagram) else { return false };
    let mut understood = true;
    for message in messages {
        understood &= transaction.take(&message, table, own, changes).is_ok();
    }
    understood
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// For tokio's `AsyncFd`, which asks for it.
impl AsRawFd for Monitor {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_fd().as_raw_fd()
    }
}
