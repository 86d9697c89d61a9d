//! The connections of one namespace: events as they happen, and dumps of what is open.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use anetcon_core::session::Event;
use anetcon_netlink::message::{Message, Request, flag, kind, messages};
use anetcon_netlink::{Malformed, array};
use nix::errno::Errno;

use crate::decode::{self, SUBSYSTEM};
use crate::error::Error;
use crate::filter::Filter;
use crate::socket::{Received, Socket};

/// How often a dump is begun anew when it was interrupted.
const ATTEMPTS: u32 = 8;
/// Room for an event; one has some 250 bytes, and under 1 KiB with all that the kernel could put in. Small, because it
/// is made anew for each [`Conntrack::drain`]: kept for each of thousands of sockets it would be much memory.
const EVENT: usize = 8 << 10;
/// Larger than any part of a dump: the kernel fills up to 32 KiB at once.
const PART: usize = 64 << 10;

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

/// How a [`Conntrack::dump`] went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dumped {
    /// Events were lost before or meanwhile. Nothing is left to do: the dump was made after that.
    pub lost: bool,
    /// As in [`Drained`].
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
    /// [`Error::Socket`]. What was handed over is true nevertheless.
    pub fn dump(&mut self, take: &mut impl FnMut(Event)) -> Result<Dumped, Error> {
        let mut dumped = Dumped::default();
        let mut buffer = vec![0; PART];
        for _ in 0..ATTEMPTS {
            self.empty(&mut buffer, &mut dumped, take)?;
            if self.attempt(&mut buffer, &mut dumped, take)? {
                return Ok(dumped);
            }
        }
        Err(Error::Interrupted { attempts: ATTEMPTS })
    }

    /// Reads all that waits. Only an empty queue makes the kernel queue events again after some were lost, and only
    /// a dump that was read to its end lets another begin.
    fn empty(
        &self,
        buffer: &mut [u8],
        dumped: &mut Dumped,
        take: &mut impl FnMut(Event),
    ) -> Result<(), Error> {
        loop {
            match self.socket.receive(buffer)? {
                Received::Datagram(datagram) => dumped.malformed += pass(datagram, take),
                Received::Lost => dumped.lost = true,
                Received::Nothing => return Ok(()),
            }
        }
    }

    /// One dump; false if it was interrupted. The kernel answers inside the request, and goes on inside each read.
    fn attempt(
        &mut self,
        buffer: &mut [u8],
        dumped: &mut Dumped,
        take: &mut impl FnMut(Event),
    ) -> Result<bool, Error> {
        let request = self.request()?;
        self.socket.send(&request)?;
        let mut whole = true;
        loop {
            let datagram = match self.socket.receive(buffer)? {
                Received::Datagram(datagram) => datagram,
                Received::Lost => {
                    dumped.lost = true;
                    return Ok(false);
                }
                Received::Nothing => return Err(Error::Unanswered),
            };
            dumped.malformed += pass(datagram, take);
            for message in messages(datagram).flatten() {
                whole &= message.flags & flag::DUMP_INTR == 0;
                if message.sequence == self.sequence && ended(&message)? {
                    return Ok(whole);
                }
            }
        }
    }

    /// `IPCTNL_MSG_CT_GET` of both address families, with a number of its own: events have number 0.
    fn request(&mut self) -> Result<Vec<u8>, Error> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let request = Request {
            subsystem: SUBSYSTEM,
            number: decode::kind::GET,
            family: 0,
            flags: flag::DUMP,
            sequence: self.sequence,
        };
        Ok(request.with(&[]).ok_or(Malformed("request"))?)
    }
}

/// Hands over what the messages of a datagram tell of; returns how many were not understood.
fn pass(datagram: &[u8], take: &mut impl FnMut(Event)) -> u64 {
    let mut malformed = 0;
    for message in messages(datagram) {
        match message.and_then(|message| decode::event(&message)) {
            Ok(event) => event.into_iter().for_each(&mut *take),
            Err(_) => malformed += 1,
        }
    }
    malformed
}

/// Whether this is the end of the dump, which carries its outcome.
fn ended(message: &Message<'_>) -> Result<bool, Error> {
    if message.kind != kind::DONE && message.kind != kind::ERROR {
        return Ok(false);
    }
    let code = message.payload.get(..4).and_then(array).map(i32::from_ne_bytes);
    match code.ok_or(Malformed("end of a dump"))? {
        0 => Ok(true),
        code => Err(Error::Refused { errno: Errno::from_raw(code.saturating_neg()) }),
    }
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
