//! /dev/kmsg, read without waiting; waiting is a separate step that something else can interrupt.
//!
//! Every open file of /dev/kmsg has its own place in the ring, so other readers take nothing away from us, unlike
//! /proc/kmsg. Opening it starts at the oldest record that is still there. No record can be sought by number: what an earlier
//! run handled is read again and skipped.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::device::Device;
use crate::kmsg::{self, Record};
use crate::sequence::{Seen, Sequence};

/// More than the kernel ever returns for one record (`PRINTK_MESSAGE_MAX` is 8 KiB at most).
const LONGEST_RECORD: usize = 16 * 1024;

/// An open kernel log.
#[derive(Debug)]
pub struct Reader {
    device: File,
    sequence: Sequence,
    buffer: Box<[u8]>,
}

/// What one attempt to read gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A record that was not handled before.
    Record {
        /// The record.
        record: Record,
        /// How many records before it were overwritten unread.
        lost: u64,
    },
    /// Nothing that matters: a record that was handled by an earlier run, or an overrun whose size the next record tells.
    Passed,
    /// The end of the ring: [`Reader::wait`] for more.
    Empty,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// A record is there.
    Record,
    /// The other file descriptor wants attention; there may be a record, too.
    Other,
    /// Time is over.
    Timeout,
}

impl Reader {
    /// Opens the kernel log after the record with the given number, or at its oldest record.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn open(device: &Device, after: Option<u64>) -> io::Result<Self> {
        let device = device.open()?;
        let buffer = vec![0; LONGEST_RECORD].into_boxed_slice();
        Ok(Self { device, sequence: Sequence::starting_after(after), buffer })
    }

    /// Opens the kernel log behind its newest record.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_at_end(device: &Device) -> io::Result<Self> {
        let mut reader = Self::open(device, None)?;
        // Documentation/ABI/testing/dev-kmsg: SEEK_END, 0.
        reader.device.seek(SeekFrom::End(0))?;
        Ok(reader)
    }

    /// The number of the newest record handled.
    pub fn last(&self) -> Option<u64> {
        self.sequence.last()
    }

    /// See [`Sequence::caught_up`].
    #[must_use]
    pub fn caught_up(&mut self) -> bool {
        self.sequence.caught_up()
    }

    /// Reads one record; never waits.
    ///
    /// # Errors
    /// The device cannot be read any more; open it again.
    pub fn read_record(&mut self) -> io::Result<Next> {
        let length = match self.device.read(&mut self.buffer) {
            // A regular end does not exist on this device.
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) => {
                return match error.kind() {
                    ErrorKind::WouldBlock => Ok(Next::Empty),
                    // EPIPE: the record we were at was overwritten, and the kernel moved us to the oldest one.
                    ErrorKind::BrokenPipe | ErrorKind::Interrupted => Ok(Next::Passed),
                    _ => Err(error),
                };
            }
        };
        // What cannot be parsed has no number, so the next record counts it as lost.
        let Ok(record) = kmsg::parse(self.buffer.get(..length).unwrap_or_default()) else {
            return Ok(Next::Passed);
        };
        Ok(match self.sequence.see(record.sequence) {
            Seen::New { lost } => Next::Record { record, lost },
            Seen::Handled => Next::Passed,
        })
    }

    /// Waits until there is a record, `other` can be read (or was closed), or the time is over.
    ///
    /// # Errors
    /// `poll` failed.
    pub fn wait(&self, other: BorrowedFd<'_>, timeout: Option<Duration>) -> io::Result<Woken> {
        let [record, other] = wait([self.device.as_fd(), other], timeout)?;
        Ok(match (record, other) {
            (_, true) => Woken::Other,
            (true, false) => Woken::Record,
            (false, false) => Woken::Timeout,
        })
    }
}

/// Waits until one of the file descriptors can be read or was closed, and tells which. A signal ends the wait early.
///
/// # Errors
/// `poll` failed.
pub fn wait<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    timeout: Option<Duration>,
) -> io::Result<[bool; N]> {
    let timeout = match timeout {
        // Rounded up: a wait that ends just before its time would be repeated with no time left.
        Some(timeout) => {
            PollTimeout::try_from(timeout + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        }
        None => PollTimeout::NONE,
    };
    let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    match poll(&mut fds, timeout) {
        Ok(_) => Ok(fds.map(|fd| fd.any().unwrap_or(true))),
        Err(Errno::EINTR) => Ok([false; N]),
        Err(errno) => Err(errno.into()),
    }
}
