//! Tells when the setting changes.

use std::fs::File;
use std::future::pending;
use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use inotify::{EventStream, Inotify, WatchMask};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::{NfLogAllNetns, SettingError};

/// The value as it changes.
///
/// A write through this process's /proc shows in inotify (measured on kernel 6.18); one through another
/// mount of proc, as in a container, does not, and is found by reading once a second.
#[derive(Debug)]
pub struct Changes {
    setting: NfLogAllNetns,
    /// The value that was told last. `None`: it could not be read.
    last: Option<bool>,
    /// Absent where inotify does not work; reading once a second remains.
    written: Option<Written>,
    poll: Interval,
}

#[derive(Debug)]
struct Written {
    stream: EventStream<Vec<u8>>,
    /// Open files of proc keep their inode, which inotify watches.
    _file: File,
}

const POLL: Duration = Duration::from_secs(1);

impl Changes {
    pub(super) fn of(setting: &NfLogAllNetns) -> Self {
        let mut poll = interval_at(Instant::now() + POLL, POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The watch first, the value second: a write in between is then told.
        let written = watch(setting).ok();
        Self { setting: setting.clone(), last: setting.read().ok(), written, poll }
    }

    /// The new value, when it differs from the one last told (or from the one at the start). An error is
    /// told once, and the value again when it can be read again. Cancel-safe.
    pub async fn changed(&mut self) -> Result<bool, SettingError> {
        loop {
            self.wake().await;
            match self.setting.read() {
                Ok(value) if self.last == Some(value) => {}
                Ok(value) => {
                    self.last = Some(value);
                    return Ok(value);
                }
                Err(error) => {
                    if self.last.take().is_some() {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn wake(&mut self) {
        let written = async {
            match &mut self.written {
                Some(written) => written.stream.next().await,
                None => pending().await,
            }
        };
        let usable = tokio::select! {
            event = written => matches!(event, Some(Ok(_))),
            _ = self.poll.tick() => true,
        };
        if !usable {
            self.written = None;
        }
    }
}

fn watch(setting: &NfLogAllNetns) -> io::Result<Written> {
    let file = File::open(&setting.path)?;
    let inotify = Inotify::init()?;
    inotify.watches().add(&setting.path, WatchMask::MODIFY)?;
    Ok(Written { stream: inotify.into_event_stream(vec![0; 4096])?, _file: file })
}
