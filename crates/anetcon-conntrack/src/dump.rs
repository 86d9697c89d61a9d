//! All open connections at once, over the socket that receives events.
//!
//! The socket is shared, so that one that was handed over can dump too, from wherever it is. The kernel makes the first
//! part of the answer inside the request and the next one inside each read, whatever waits between them.

use anetcon_core::session::Event;
use anetcon_netlink::message::{Message, Request, flag, kind, messages};
use anetcon_netlink::{Malformed, array};
use nix::errno::Errno;

use crate::conntrack::pass;
use crate::decode;
use crate::error::Error;
use crate::socket::{Received, Socket};

/// How often a dump is begun anew when it was interrupted.
const ATTEMPTS: u32 = 8;
/// Larger than any part of a dump: the kernel fills up to 32 KiB at once.
const PART: usize = 64 << 10;

/// What a dump met, also one that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dumped {
    /// Events were lost before or meanwhile. A dump that succeeded was made after that: only what was opened and closed
    /// in between is missing.
    pub lost: bool,
    /// As in [`Drained`](crate::Drained).
    pub malformed: u64,
}

/// A dump that is being made.
pub(crate) struct Dump<'a, T> {
    pub(crate) socket: &'a Socket,
    pub(crate) sequence: &'a mut u32,
    pub(crate) take: &'a mut T,
    pub(crate) dumped: &'a mut Dumped,
}

impl<T: FnMut(Event)> Dump<'_, T> {
    pub(crate) fn run(mut self) -> Result<(), Error> {
        let mut buffer = vec![0; PART];
        for _ in 0..ATTEMPTS {
            self.empty(&mut buffer)?;
            let done = match self.is_nothing_open(&mut buffer)? {
                Some(true) => true,
                Some(false) => self.attempt(&mut buffer)?,
                None => false,
            };
            if done {
                return Ok(());
            }
        }
        Err(Error::Interrupted { attempts: ATTEMPTS })
    }

    /// Reads all that waits. Only an empty queue makes the kernel queue events again after some were lost, and only
    /// a dump that was read to its end lets another begin.
    fn empty(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        loop {
            match self.socket.receive(buffer)? {
                Received::Datagram(datagram) => self.dumped.malformed += pass(datagram, self.take),
                Received::Lost => self.dumped.lost = true,
                Received::Nothing => return Ok(()),
            }
        }
    }

    /// Whether a dump would find nothing; `None` if events were lost meanwhile. A dump walks through the connections of every namespace
    /// (`nf_conntrack_hash` is one for all), some milliseconds of work however few are of this one: a thousand idle ones make seconds.
    fn is_nothing_open(&mut self, buffer: &mut [u8]) -> Result<Option<bool>, Error> {
        let request = self.request(decode::kind::GET_STATS, 0)?;
        self.socket.send(&request)?;
        loop {
            let datagram = match self.socket.receive(buffer)? {
                Received::Datagram(datagram) => datagram,
                Received::Lost => {
                    self.dumped.lost = true;
                    return Ok(None);
                }
                // An answer that found no room in the buffer. A dump has its own way.
                Received::Nothing => return Ok(Some(false)),
            };
            self.dumped.malformed += pass(datagram, self.take);
            let ours = |message: &Message<'_>| message.sequence == *self.sequence;
            if let Some(answer) = messages(datagram).flatten().find(ours) {
                // A refusal, or what is not understood, is no reason not to look.
                let is_count = answer.kind == decode::kind::GET_STATS;
                return Ok(Some(is_count && decode::entries(&answer) == Ok(0)));
            }
        }
    }

    /// One dump; false if it was interrupted.
    fn attempt(&mut self, buffer: &mut [u8]) -> Result<bool, Error> {
        let request = self.request(decode::kind::GET, flag::DUMP)?;
        self.socket.send(&request)?;
        let mut whole = true;
        loop {
            let datagram = match self.socket.receive(buffer)? {
                Received::Datagram(datagram) => datagram,
                Received::Lost => {
                    self.dumped.lost = true;
                    return Ok(false);
                }
                Received::Nothing => return Err(Error::Unanswered),
            };
            self.dumped.malformed += pass(datagram, self.take);
            for message in messages(datagram).flatten() {
                whole &= message.flags & flag::DUMP_INTR == 0;
                if ended(&message, *self.sequence)? {
                    return Ok(whole);
                }
            }
        }
    }

    /// A request for both address families, with a number of its own: events have number 0.
    fn request(&mut self, kind: u16, flags: u16) -> Result<Vec<u8>, Error> {
        *self.sequence = self.sequence.wrapping_add(1).max(1);
        let request = Request { kind, family: 0, flags, sequence: *self.sequence };
        Ok(request.with(&[]).ok_or(Malformed("request"))?)
    }
}

/// Whether this is the end of the answer to the request with this number. It carries the outcome.
fn ended(message: &Message<'_>, sequence: u32) -> Result<bool, Error> {
    let ends = message.kind == kind::DONE || message.kind == kind::ERROR;
    if !ends || message.sequence != sequence {
        return Ok(false);
    }
    let code = message.payload.get(..4).and_then(array).map(i32::from_ne_bytes);
    match code.ok_or(Malformed("end of a dump"))? {
        0 => Ok(true),
        code => Err(Error::Refused { errno: Errno::from_raw(code.saturating_neg()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: u16, sequence: u32, payload: &[u8]) -> Result<bool, Error> {
        ended(&Message { kind, flags: 0, sequence, portid: 0, payload }, 7)
    }

    #[test]
    fn only_a_good_end_of_its_own_is_the_end() {
        for (kind, sequence, expected) in [
            (kind::DONE, 7, true),
            (kind::ERROR, 7, true),
            (kind::DONE, 6, false),
            (kind::ERROR, 0, false),
            (decode::kind::NEW, 7, false),
        ] {
            assert_eq!(outcome(kind, sequence, &[0; 4]).unwrap(), expected, "{kind} {sequence}");
        }
    }

    #[test]
    fn a_dump_can_be_refused_and_can_fail_at_its_end() {
        for (kind, errno) in [(kind::ERROR, Errno::EBUSY), (kind::DONE, Errno::EPERM)] {
            let error = outcome(kind, 7, &(-(errno as i32)).to_ne_bytes()).unwrap_err();
            assert!(
                matches!(error, Error::Refused { errno: found } if found == errno),
                "{error:?}"
            );
            assert_eq!(error.retry(), errno == Errno::EBUSY);
        }
        assert!(matches!(outcome(kind::DONE, 7, &[0, 0]), Err(Error::Malformed(_))));
        assert!(outcome(kind::ERROR, 7, &i32::MIN.to_ne_bytes()).is_err());
    }
}
