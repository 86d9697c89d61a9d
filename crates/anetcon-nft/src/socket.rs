//! The socket with which one namespace's table is read and written.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use anetcon_core::netns::NetnsCookie;
use anetcon_core::observed::Observed;
use anetcon_core::plan::Plan;
use anetcon_core::ruleset::Ruleset;
use anetcon_core::takeover::{NatTables, Removal};
use nix::errno::Errno;

use crate::batch;
use crate::dump::Dump;
use crate::error::Error;
use crate::netlink::{self, PortId, Socket};
use crate::request::Requests;

/// Requests begin here, far from the numbers 1, 2, ... that a batch uses.
const FIRST_SEQUENCE: u32 = 1 << 30;

/// Reads and writes the nf_tables of one network namespace.
///
/// A socket stays in the namespace in which it was made, whichever thread uses it. It keeps that namespace alive:
/// drop it when the namespace goes. No call waits: an answer that is not there at once is an error.
#[derive(Debug)]
pub struct RulesSocket {
    socket: Socket,
    portid: PortId,
    sequence: u32,
}

impl RulesSocket {
    /// Opens a socket in the current network namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::Socket`], `EPERM` without `CAP_NET_ADMIN` in the namespace.
    pub fn open() -> Result<Self, Error> {
        Self::over(Socket::open(0)?)
    }

    /// Takes over a socket that an earlier run of the agent opened.
    ///
    /// # Errors
    /// [`Error::Adopted`] for a file descriptor that is no netfilter socket.
    pub fn adopt(fd: OwnedFd) -> Result<Self, Error> {
        Self::over(Socket::adopt(fd, 0)?)
    }

    fn over(socket: Socket) -> Result<Self, Error> {
        let portid = socket.portid()?;
        Ok(Self { socket, portid, sequence: FIRST_SEQUENCE })
    }

    /// The identity of the socket's namespace.
    ///
    /// # Errors
    /// [`Error::Socket`], `ENOPROTOOPT` before kernel 5.14.
    pub fn cookie(&self) -> Result<NetnsCookie, Error> {
        self.socket.cookie()
    }

    /// The socket's port: events of its own changes carry it.
    pub fn portid(&self) -> PortId {
        self.portid
    }

    /// The table of family inet with this name and all that is in it, as it was at one moment.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if others kept changing the ruleset; whatever else the kernel or the socket says. A
    /// table that could not be read is never reported as missing.
    pub fn observe(&mut self, table: &str) -> Result<Observed, Error> {
        self.dump().observe(table)
    }

    /// The generation of the namespace's ruleset: equal numbers mean that nothing changed.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn generation(&mut self) -> Result<u32, Error> {
        self.dump().generation()
    }

    /// The names of the tables of family inet.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn tables(&mut self) -> Result<Vec<String>, Error> {
        self.dump().tables()
    }

    /// What others have in the namespace that bears on our rules.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn ruleset(&mut self) -> Result<Ruleset, Error> {
        self.dump().ruleset()
    }

    /// The nat tables of iptables-nft, in which the bash script had its chain.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn nat_tables(&mut self) -> Result<NatTables, Error> {
        self.dump().nat_tables()
    }

    /// Takes what the bash script left out of those tables, in one batch.
    ///
    /// # Errors
    /// As [`apply`](Self::apply). If anything in the ruleset was changed since the tables were read, nothing is done and
    /// [`Error::is_outdated`] is true.
    pub fn take_away(&mut self, removal: &Removal) -> Result<(), Error> {
        self.requests().commit_written(batch::removal(removal)?)
    }

    /// Whether the kernel knows these `NFT_TABLE_F_*` flags. Nothing is changed.
    ///
    /// # Errors
    /// If the kernel says anything else.
    pub fn knows_flags(&mut self, flags: u32) -> Result<bool, Error> {
        match self.requests().commit(batch::probe(flags)?) {
            Err(Error::Refused { errno: Errno::ENOENT, .. }) => Ok(true),
            Err(Error::Refused { errno: Errno::EOPNOTSUPP | Errno::EINVAL, .. }) => Ok(false),
            Err(error) => Err(error),
            // The kernel deleted what is not there.
            Ok(()) => Ok(false),
        }
    }

    /// Carries out a plan in one batch; an empty plan sends nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] names the object that the kernel did not take; then nothing was changed. After
    /// [`Error::Unanswered`] and [`Error::Overrun`] the batch may or may not have happened: observe again.
    /// [`Error::Unwritable`] before anything was sent.
    pub fn apply(&mut self, plan: &Plan) -> Result<(), Error> {
        match plan {
            Plan::Nothing => Ok(()),
            Plan::Replace { wanted, existing_flags, .. } => {
                self.requests().commit(batch::replace(wanted, *existing_flags)?)
            }
            Plan::Refill { wanted, existing_sets, .. } => {
                self.requests().commit(batch::refill(wanted, existing_sets)?)
            }
            Plan::Claim { name, flags, .. } => self.requests().commit(batch::claim(name, *flags)?),
            Plan::Remove { name } => self.remove(name),
        }
    }

    /// A table that is gone already is what was asked for.
    fn remove(&mut self, table: &str) -> Result<(), Error> {
        match self.requests().commit(batch::remove(table)?) {
            Err(Error::Refused { errno: Errno::ENOENT, .. }) => Ok(()),
            outcome => outcome,
        }
    }

    fn dump(&mut self) -> Dump<'_> {
        Dump { own: self.portid, requests: self.requests() }
    }

    fn requests(&mut self) -> Requests<'_> {
        let (socket, sequence) = (&self.socket, &mut self.sequence);
        Requests { socket, sequence, buffer: netlink::buffer() }
    }
}

impl AsFd for RulesSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// As for [`Monitor`](crate::Monitor).
impl AsRawFd for RulesSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_fd().as_raw_fd()
    }
}
