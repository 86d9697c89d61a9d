//! The connections of one namespace: events as they happen, and dumps of what is open.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use anetcon_core::session::Event;
use anetcon_netlink::message::messages;

use crate::decode;
use crate::dump::{Dump, Dumped};
use crate::error::Error;
use crate::filter::Filter;
use crate::socket::{Received, Socket};

/// Room for an event; one has some 250 bytes, and under 1 KiB with all that the kernel could put in. Small, because it
/// is made anew for each [`Conntrack::drain`]: kept for each of thousands of sockets it would be much memory.
const EVENT: usize = 8 << 10;

/// A socket that receives the events of one namespace's connections.
///
/// Like every socket it keeps its namespace alive.
#[derive(Debug)]
pub struct Conntrack {
    socket: Socket,
    sequence: u32,
}

/// What a [`Conntrack::drain`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// The limit was reached: more may be waiting.
    pub more: bool,
    /// Events were lost: the buffer was full (`ENOBUFS`). The kernel goes on losing them until everything that waits
    /// has been read, and says so only once. So drain on while there is `more`, and then [`Conntrack::dump`].
    pub lost: bool,
    /// How many messages were not understood. A dump would not help: they are told of to be counted.
    pub malformed: u64,
}

impl Conntrack {
    /// Opens a socket in the current network namespace of the calling thread, with room for `buffer` bytes of waiting
    /// events.
    ///
    /// # Errors
    /// [`Error::Socket`], `EPERM` without `CAP_NET_ADMIN` in the namespace.
    pub fn open(filter: &Filter, buffer: usize) -> Result<Self, Error> {
        Ok(Self::over(Socket::open(filter, buffer)?))
    }

    /// Takes over a socket that an earlier run of the agent opened. Events may be waiting in it, sorted out by the
    /// filter of that time; from now on `filter` is in force.
    ///
    /// # Errors
    /// [`Error::Adopted`] for a file descriptor that is no netfilter socket with the events of new connections.
    pub fn adopt(fd: OwnedFd, filter: &Filter, buffer: usize) -> Result<Self, Error> {
        Ok(Self::over(Socket::adopt(fd, filter, buffer)?))
    }

    fn over(socket: Socket) -> Self {
        Self { socket, sequence: 0 }
    }

    /// Puts another filter in force. What already waits stays.
    ///
    /// # Errors
    /// [`Error::Socket`]; then some or all of the former filter is in force.
    pub fn refilter(&self, filter: &Filter) -> Result<(), Error> {
        self.socket.refilter(filter)
    }

    /// Hands over the events that are there, up to about `limit` of them. In an adopted socket the rest of a dump
    /// may be among them.
    ///
    /// # Errors
    /// [`Error::Socket`] if the socket cannot be read at all.
    pub fn drain(&mut self, limit: usize, take: &mut impl FnMut(Event)) -> Result<Drained, Error> {
        let mut drained = Drained::default();
        let mut buffer = [0; EVENT];
        for _ in 0..limit {
            match self.socket.receive(&mut buffer)? {
                Received::Datagram(datagram) => drained.malformed += pass(datagram, take),
                Received::Lost => drained.lost = true,
                Received::Nothing => return Ok(drained),
            }
        }
        drained.more = true;
        Ok(drained)
    }

    /// Hands over every connection that is open, as [`Seen`](anetcon_core::session::EventKind::Seen), and the events
    /// that wait before or come meanwhile. One connection may come several times: as an event and as seen, and as seen
    /// again where a dump was interrupted.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if others kept it from being complete, [`Error::Refused`], [`Error::Unanswered`], and
    /// [`Error::Socket`]. What was handed over is true nevertheless, and so is what `dumped` tells.
    pub fn dump(&mut self, take: &mut impl FnMut(Event), dumped: &mut Dumped) -> Result<(), Error> {
        Dump { socket: &self.socket, sequence: &mut self.sequence, take, dumped }.run()
    }
}

/// Hands over what the messages of a datagram tell of; returns how many were not understood.
pub(crate) fn pass(datagram: &[u8], take: &mut impl FnMut(Event)) -> u64 {
    let mut malformed = 0;
    for message in messages(datagram) {
        match message.and_then(|message| decode::event(&message)) {
            Ok(event) => event.into_iter().for_each(&mut *take),
            Err(_) => malformed += 1,
        }
    }
    malformed
}

impl AsFd for Conntrack {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.fd.as_fd()
    }
}

/// For tokio's `AsyncFd`, which asks for it.
impl AsRawFd for Conntrack {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.fd.as_raw_fd()
    }
}
