//! One netns folder under inotify, or, while it does not exist, its nearest ancestor that does.
//!
//! Each watch has an inotify instance of its own: nothing left over from an earlier folder of the same
//! path can be taken for an event of the present one.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use futures_util::{FutureExt, StreamExt};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchMask};

use crate::Error;

/// What inotify said, in our words.
#[derive(Debug)]
pub(crate) enum Sign {
    /// A file was made in the folder; the namespace may be mounted on it later.
    Made(OsString),
    /// A file is gone from the folder.
    Removed(OsString),
    /// The folder is not the one we watch any more, or has just been made.
    Moved,
    /// The kernel dropped events.
    Lost,
    /// Nothing that concerns us.
    Nothing,
}

/// A watch on a folder.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    target: Target,
    stream: EventStream<Vec<u8>>,
}

#[derive(Debug)]
enum Target {
    /// The folder, with its identity from before the watch was set: a folder put in its place
    /// since then shows as a difference.
    Itself(Identity),
    /// An ancestor, in which this name has to appear first.
    Ancestor(OsString),
}

/// Device and inode. Enough for a folder: the one we watch exists as long as the watch does.
type Identity = (u64, u64);

/// Room for several hundred events per read.
const BUFFER: usize = 16 * 1024;

/// How often a folder may come and go while we try to watch it.
const ATTEMPTS: usize = 16;

impl Watch {
    /// Watches `path`, or the nearest ancestor. The caller scans the folder after this, not before:
    /// what is made in between is then seen twice rather than never.
    pub(crate) fn on(path: &Path) -> Result<Self, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(watch) = attempt(path)? {
                return Ok(watch);
            }
        }
        Err(Error::at("watch", path, io::Error::from(io::ErrorKind::ResourceBusy)))
    }

    /// Whether the path still leads to what is watched. Tells what inotify cannot: another file system
    /// mounted over the folder, a deleted folder that a process still sits in, a renamed ancestor.
    pub(crate) fn is_current(&self) -> bool {
        match (folder_identity(&self.path), &self.target) {
            (Ok(now), Target::Itself(identity)) => now == Some(*identity),
            // As long as the next part is missing, so is the folder.
            (Ok(now), Target::Ancestor(_)) => now.is_none(),
            // Nothing is known, so nothing has changed.
            (Err(_), _) => true,
        }
    }

    /// Waits for the next event. Cancel-safe.
    pub(crate) async fn sign(&mut self) -> io::Result<Sign> {
        let event = self.stream.next().await;
        self.read(event)
    }

    /// An event that is there already.
    pub(crate) fn sign_now(&mut self) -> Option<io::Result<Sign>> {
        let event = self.stream.next().now_or_never()?;
        Some(self.read(event))
    }

    fn read(&self, event: Option<io::Result<EventOwned>>) -> io::Result<Sign> {
        let event = event.ok_or(io::ErrorKind::UnexpectedEof)??;
        Ok(match &self.target {
            Target::Itself(_) => folder_sign(event),
            Target::Ancestor(next) => ancestor_sign(&event, next),
        })
    }
}

fn folder_sign(event: EventOwned) -> Sign {
    match (event.mask, event.name) {
        (mask, _) if mask.contains(EventMask::Q_OVERFLOW) => Sign::Lost,
        (mask, Some(_)) if mask.contains(EventMask::ISDIR) => Sign::Nothing,
        (mask, Some(name)) if mask.intersects(EventMask::CREATE | EventMask::MOVED_TO) => {
            Sign::Made(name)
        }
        (mask, Some(name)) if mask.intersects(EventMask::DELETE | EventMask::MOVED_FROM) => {
            Sign::Removed(name)
        }
        (_, Some(_)) => Sign::Nothing,
        // Without a name it is about the folder itself: deleted, moved, unmounted.
        (_, None) => Sign::Moved,
    }
}

fn ancestor_sign(event: &EventOwned, next: &OsStr) -> Sign {
    let elsewhere = event.name.as_deref().is_some_and(|name| name != next);
    if elsewhere { Sign::Nothing } else { Sign::Moved }
}

/// One try. `None` when the tree changed meanwhile.
fn attempt(path: &Path) -> Result<Option<Watch>, Error> {
    let mut next = None;
    for candidate in path.ancestors() {
        let failed = |error| Error::at("watch", candidate, error);
        if let Some(identity) = folder_identity(candidate).map_err(failed)? {
            let Some(stream) = watch(candidate).map_err(failed)? else { return Ok(None) };
            let target = match next {
                None => Target::Itself(identity),
                Some(name) => Target::Ancestor(name),
            };
            let watch = Watch { path: path.to_owned(), target, stream };
            return Ok(watch.is_still_right(candidate).then_some(watch));
        }
        next = candidate.file_name().map(OsStr::to_owned);
    }
    Err(Error::Gone { path: path.to_owned() })
}

impl Watch {
    /// The next part may have been made between looking for it and setting the watch above it.
    fn is_still_right(&self, watched: &Path) -> bool {
        match &self.target {
            Target::Itself(_) => true,
            Target::Ancestor(next) => matches!(folder_identity(&watched.join(next)), Ok(None)),
        }
    }
}

/// `None`: the folder has gone since it was looked at.
fn watch(folder: &Path) -> io::Result<Option<EventStream<Vec<u8>>>> {
    let mask = WatchMask::CREATE
        | WatchMask::DELETE
        | WatchMask::MOVE
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
        | WatchMask::ONLYDIR;
    let inotify = Inotify::init()?;
    match inotify.watches().add(folder, mask) {
        Ok(_) => Ok(Some(inotify.into_event_stream(vec![0; BUFFER])?)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `None`: there is no such folder (a file of that name is no folder either).
fn folder_identity(path: &Path) -> io::Result<Option<Identity>> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.is_dir().then(|| (found.dev(), found.ino()))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// ENOTDIR: a part of the path is a file.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
