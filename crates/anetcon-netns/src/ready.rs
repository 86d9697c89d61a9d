//! Whether a file in a netns folder is a namespace already.
//!
//! `ip netns add` makes the file, then mounts the namespace on it. inotify tells of the first, nothing in
//! the folder tells of the second: in between the file is a plain one and cannot be entered.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::sys::statfs::{NSFS_MAGIC, fstatfs, statfs};
use tokio::time::Instant;

use crate::Error;

/// The first pause between two looks at a file that is no namespace yet.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_micros(200);
/// The longest pause.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Waits until `path` is a namespace.
///
/// Errors: [`Error::NotReady`] when it is none after `deadline`, [`Error::Gone`] as soon as the file is
/// not there, and what open(2) and fstatfs(2) say.
pub async fn ready(path: &Path, deadline: Duration) -> Result<(), Error> {
    let end = Instant::now() + deadline;
    let mut pause = FIRST_PAUSE;
    while !is_ready(path)? {
        if Instant::now() >= end {
            return Err(Error::NotReady { path: path.to_owned() });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

/// One look, without opening the file: before the mount it has mode 0, which only root may open.
pub(crate) fn is_ready(path: &Path) -> Result<bool, Error> {
    let found = statfs(path).map_err(|error| Error::at("examine", path, error))?;
    Ok(found.filesystem_type() == NSFS_MAGIC)
}

/// Whether an open file is a namespace's (of any kind: the folder holds no other).
pub(crate) fn is_namespace(file: &File) -> io::Result<bool> {
    Ok(fstatfs(file)?.filesystem_type() == NSFS_MAGIC)
}
