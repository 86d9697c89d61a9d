//! The kernel log as a test sees it: the lines with the test's own tag, from the moment it starts to look.
//!
//! `/dev/kmsg` hands every reader each record once (Documentation/ABI/testing/dev-kmsg), so readers do
//! not disturb each other. The tag tells our lines from everybody else's.
#![allow(
    clippy::panic,
    reason = "a test that cannot read the kernel log ends here, with the reason"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::netns::{unique, wait_until};

/// More than the longest record; a smaller buffer would be refused with EINVAL.
const RECORD: usize = 8192;

/// Follows the kernel log and keeps the messages that hold a tag.
#[derive(Debug)]
pub struct KernelLog {
    device: File,
    tag: String,
    lines: Vec<String>,
}

impl KernelLog {
    /// Starts after the newest record there is now.
    pub fn follow(tag: &str) -> Self {
        let mut device = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open("/dev/kmsg")
            .unwrap_or_else(|error| panic!("cannot open /dev/kmsg: {error}"));
        device
            .seek(SeekFrom::End(0))
            .unwrap_or_else(|error| panic!("cannot go to the end of /dev/kmsg: {error}"));
        Self { device, tag: tag.to_owned(), lines: Vec::new() }
    }

    /// Waits until there are at least this many lines, and returns all there are.
    pub fn wait_for(&mut self, count: usize, deadline: Duration) -> &[String] {
        let what = format!("{count} kernel log lines with {}", self.tag);
        wait_until(&what, deadline, || {
            self.read_what_is_there(None);
            self.lines.len() >= count
        });
        &self.lines
    }

    /// Every line that was logged before this call, without waiting for luck: a mark is written into the
    /// log and everything up to it is read. Traffic that was answered has been logged before.
    pub fn settled(&mut self) -> &[String] {
        let mark = unique("mark");
        OpenOptions::new()
            .write(true)
            .open("/dev/kmsg")
            .and_then(|mut device| device.write_all(format!("{mark}.\n").as_bytes()))
            .unwrap_or_else(|error| panic!("cannot write a mark to /dev/kmsg: {error}"));
        wait_until("the mark shows up in the kernel log", Duration::from_secs(5), || {
            self.read_what_is_there(Some(&format!("{mark}.")))
        });
        &self.lines
    }

    /// Whether `mark` was among the new records.
    fn read_what_is_there(&mut self, mark: Option<&str>) -> bool {
        let mut record = [0; RECORD];
        loop {
            match self.device.read(&mut record) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(record.get(..length).unwrap_or_default());
                    if mark.is_some_and(|mark| text.contains(mark)) {
                        return true;
                    }
                    self.keep(&text);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if is(&error, Errno::EINTR) => {}
                Err(error) if is(&error, Errno::EPIPE) => {
                    panic!("the kernel log overran the test: a count would mean nothing")
                }
                Err(error) => panic!("cannot read /dev/kmsg: {error}"),
            }
        }
    }

    /// A record is `level,sequence,time,flags;message`, then perhaps indented continuation lines.
    fn keep(&mut self, record: &str) {
        let message = record.split_once(';').map_or(record, |(_, message)| message);
        let message = message.lines().next().unwrap_or_default();
        if message.contains(&self.tag) {
            self.lines.push(message.to_owned());
        }
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}
