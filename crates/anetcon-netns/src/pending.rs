//! Files in netns folders that are no namespaces yet: when to look at each again, and what was seen.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anetcon_core::netns::NetnsName;
use tokio::time::Instant;

use crate::Error;
use crate::ready::{FIRST_PAUSE, LONGEST_PAUSE, is_ready};
use crate::roster::FolderIndex;

/// A file that is no namespace after this long is told as an error, once.
const GIVE_UP: Duration = Duration::from_secs(5);

/// The files waited for.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    files: BTreeMap<(NetnsName, FolderIndex), Wait>,
}

#[derive(Debug)]
struct Wait {
    path: PathBuf,
    since: Instant,
    pause: Duration,
    /// When to look next. `None`: given up, only a mount can make a difference now.
    next: Option<Instant>,
}

/// Which files to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those whose pause is over.
    Due,
    /// All: something was mounted somewhere.
    All,
}

/// A file that is a namespace now.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) name: NetnsName,
    pub(crate) folder: FolderIndex,
    pub(crate) path: PathBuf,
}

impl Pending {
    /// Starts to wait. The first look is due at once: the mount may be there already.
    pub(crate) fn expect(&mut self, name: NetnsName, folder: FolderIndex, path: PathBuf) {
        let now = Instant::now();
        let wait = Wait { path, since: now, pause: FIRST_PAUSE, next: Some(now) };
        self.files.insert((name, folder), wait);
    }

    /// The file is gone.
    pub(crate) fn forget(&mut self, name: &NetnsName, folder: FolderIndex) {
        self.files.remove(&(name.clone(), folder));
    }

    /// The folder is gone.
    pub(crate) fn forget_folder(&mut self, folder: FolderIndex) {
        self.files.retain(|(_, place), _| *place != folder);
    }

    /// When the next look is due.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.files.values().filter_map(|wait| wait.next).min()
    }

    /// Looks at the files and stops waiting for those that are ready.
    pub(crate) fn look(&mut self, which: Which) -> Vec<Result<Ready, Error>> {
        let now = Instant::now();
        let mut seen = Vec::new();
        self.files.retain(|(name, folder), wait| {
            if which == Which::Due && wait.next.is_none_or(|next| next > now) {
                return true;
            }
            match is_ready(&wait.path) {
                Ok(true) => {
                    let (name, folder, path) = (name.clone(), *folder, wait.path.clone());
                    seen.push(Ok(Ready { name, folder, path }));
                    false
                }
                Ok(false) => {
                    seen.extend(wait.pause(now).map(Err));
                    true
                }
                // inotify will tell of the deletion, or has told already.
                Err(Error::Gone { .. }) => false,
                Err(error) => {
                    seen.extend(wait.give_up(error).map(Err));
                    true
                }
            }
        });
        seen
    }
}

impl Wait {
    fn pause(&mut self, now: Instant) -> Option<Error> {
        if now.duration_since(self.since) >= GIVE_UP {
            return self.give_up(Error::NotReady { path: self.path.clone() });
        }
        self.next = Some(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        None
    }

    /// The error, unless it has been told before.
    fn give_up(&mut self, error: Error) -> Option<Error> {
        self.next.take().map(|_| error)
    }
}
