//! Deletes the agent's table over a socket that stays open, and sees in the kernel's own events when it is back.

use std::ffi::CString;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nftnl::{Batch, MsgType, ProtoFamily, Table};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendmsg,
    socket,
};

use crate::nat_netlink;
use crate::netns::Netns;

/// Ends a benchmark whose table never comes back.
const PATIENCE: Duration = Duration::from_secs(10);

/// `NFNLGRP_NFTABLES` as a bit, and its messages (`linux/netfilter/nfnetlink.h`, `nf_tables.h`).
const GROUP: u32 = 1 << (7 - 1);
const SUBSYSTEM: u16 = 10 << 8;
const NEW_TABLE: u16 = SUBSYSTEM;
const DELETED_TABLE: u16 = SUBSYSTEM | 2;
const NEW_GENERATION: u16 = SUBSYSTEM | 15;

/// One namespace's rules, about to be wiped.
#[derive(Debug)]
pub(super) struct Wiper {
    table: CString,
    requests: OwnedFd,
    events: OwnedFd,
}

/// What has happened since the wipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Deleted,
    MadeAgain,
    InForce,
}

impl Wiper {
    /// Opens both sockets in the namespace, which they keep alive.
    pub(super) fn open(netns: &Netns, table: &str) -> Result<Self> {
        let open = |groups| -> nix::Result<OwnedFd> {
            let family = AddressFamily::Netlink;
            let protocol = SockProtocol::NetlinkNetFilter;
            let socket = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
            bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
            Ok(socket)
        };
        let (requests, events) = netns.run(|| Ok::<_, Errno>((open(0)?, open(GROUP)?)))?;
        Ok(Self { table: CString::new(table)?, requests, events })
    }

    /// Deletes the table. Returns how long it took from before the request until the transaction that made it again was
    /// in force.
    pub(super) fn wipe(&self) -> Result<Duration> {
        while self.receive(&self.events)?.is_some() {}
        let mut batch = Batch::new();
        batch.add(&Table::new(&self.table, ProtoFamily::Inet), MsgType::Del);
        let batch = batch.finalize();
        let pages: Vec<_> = batch.iter().map(IoSlice::new).collect();

        let start = Instant::now();
        let socket = self.requests.as_raw_fd();
        sendmsg::<NetlinkAddr>(socket, &pages, &[], MsgFlags::empty(), None)?;
        let mut seen = Seen::Nothing;
        while seen != Seen::InForce {
            while let Some(answers) = self.receive(&self.requests)? {
                nat_netlink::check_answers(&answers)?;
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            ensure!(!left.is_zero(), "the table did not come back within {PATIENCE:?} ({seen:?})");
            let mut wait = [PollFd::new(self.events.as_fd(), PollFlags::POLLIN)];
            match poll(&mut wait, PollTimeout::try_from(left)?) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).context("cannot wait for events"),
            }
            while let Some(events) = self.receive(&self.events)? {
                seen = types(&events).fold(seen, Seen::then);
            }
        }
        Ok(start.elapsed())
    }

    /// What is there, without waiting.
    fn receive(&self, socket: &OwnedFd) -> Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; 1 << 16];
        match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => {
                buffer.truncate(length);
                Ok(Some(buffer))
            }
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno).context("cannot read from nf_tables"),
        }
    }
}

impl Seen {
    /// Each transaction ends with the message of its generation.
    fn then(self, kind: u16) -> Self {
        match (self, kind) {
            (Self::Nothing, DELETED_TABLE) => Self::Deleted,
            (Self::Deleted, NEW_TABLE) => Self::MadeAgain,
            (Self::MadeAgain, NEW_GENERATION) => Self::InForce,
            _ => self,
        }
    }
}

/// The types of the netlink messages of a datagram (`struct nlmsghdr`: length, type, ...).
fn types(mut rest: &[u8]) -> impl Iterator<Item = u16> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk()?);
        let kind = u16::from_ne_bytes(*rest.get(4..)?.first_chunk()?);
        let length = usize::try_from(length).ok()?.max(16).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
        Some(kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_back_when_the_transaction_that_made_it_is_over() {
        use Seen::{Deleted, InForce, MadeAgain, Nothing};

        let message = |kind: u16| {
            let mut message = vec![0; 20];
            message[..4].copy_from_slice(&18_u32.to_ne_bytes());
            message[4..6].copy_from_slice(&kind.to_ne_bytes());
            message
        };
        let story =
            [DELETED_TABLE, NEW_GENERATION, NEW_TABLE, SUBSYSTEM | 3, NEW_GENERATION].map(message);
        let mut seen = vec![Nothing];
        for kind in types(&story.concat()) {
            seen.push(seen[seen.len() - 1].then(kind));
        }
        assert_eq!(seen, [Nothing, Deleted, Deleted, MadeAgain, MadeAgain, InForce]);
    }
}
