//! One log file that is appended to, and that others rotate under us.
//!
//! Rotation needs no signal: before each batch the path is compared with the open file. A write either puts whole lines into
//! the file or tells how many lines are missing; it never waits and never retries by itself.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    fchown,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Group, chown};
use thiserror::Error;

/// Owner may write, group may read.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// The group that reads logs on Debian, Ubuntu and the RHEL family.
const LOG_READERS: &str = "adm";

/// How long a file that was renamed is still written to when nothing took its name. logrotate's `create` makes the new
/// file itself, microseconds after the rename; if we were faster it would move our new file out of its way, to a name that
/// nothing rotates. No line is lost meanwhile: `delaycompress` leaves the renamed file alone until the next rotation.
const RENAME_GRACE: Duration = Duration::from_secs(1);

/// A file that lines are appended to.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    device: u64,
    inode: u64,
    /// The file does not end with a newline: somebody was killed or the disk was full in the middle of a line.
    torn: bool,
    nameless_since: Option<Instant>,
}

/// A batch was not written, or not all of it.
#[derive(Debug, Error)]
#[error("cannot write {}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// How many lines of the batch are not in the file.
    pub unwritten: u64,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// What a written batch met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// The same file as before.
    Same,
    /// The first file of this [`LogFile`].
    First,
    /// Another file, because the one before was renamed or deleted.
    Reopened,
}

impl LogFile {
    /// A file that is opened, or made, when the first batch comes.
    pub fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole lines, in one `write` unless the system takes less. `now` is only compared with earlier calls.
    ///
    /// # Errors
    /// [`WriteError`] if a line is missing. The next call starts on a line of its own.
    pub fn append(&mut self, lines: &[u8], now: Instant) -> Result<Wrote, WriteError> {
        let result = self.reopen(now).map_err(|error| (0, error)).and_then(|wrote| {
            let open = self.open.as_mut().ok_or((0, ErrorKind::NotFound.into()))?;
            open.append(lines).map(|()| wrote)
        });
        result.map_err(|(written, source)| WriteError {
            path: self.path.clone(),
            unwritten: newlines(lines.get(written..).unwrap_or_default()),
            source,
        })
    }

    /// Waits until what was appended is on disk.
    ///
    /// # Errors
    /// The disk's.
    pub fn sync(&self) -> io::Result<()> {
        self.open.as_ref().map_or(Ok(()), |open| open.file.sync_data())
    }

    /// Makes sure that the open file is the one that the path names.
    fn reopen(&mut self, now: Instant) -> io::Result<Wrote> {
        let Some(open) = &mut self.open else {
            self.open = Some(Open::at(&self.path)?);
            return Ok(Wrote::First);
        };
        match fs::metadata(&self.path) {
            Ok(metadata) if open.is(&metadata) => {
                open.nameless_since = None;
                return Ok(Wrote::Same);
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let since = *open.nameless_since.get_or_insert(now);
                let deleted = open.file.metadata()?.nlink() == 0;
                if !deleted && now.saturating_duration_since(since) < RENAME_GRACE {
                    return Ok(Wrote::Same);
                }
            }
            Err(error) => return Err(error),
        }
        *open = Open::at(&self.path)?;
        Ok(Wrote::Reopened)
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let file = open_or_create(path)?;
        let metadata = file.metadata()?;
        let torn = match metadata.len().checked_sub(1) {
            Some(last) => {
                let mut byte = [0];
                file.read_exact_at(&mut byte, last)?;
                byte != *b"\n"
            }
            None => false,
        };
        Ok(Self { file, device: metadata.dev(), inode: metadata.ino(), torn, nameless_since: None })
    }

    fn is(&self, metadata: &Metadata) -> bool {
        (metadata.dev(), metadata.ino()) == (self.device, self.inode)
    }

    /// The error comes with the number of bytes that were written before it.
    fn append(&mut self, lines: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.torn {
            self.file.write_all(b"\n").map_err(|error| (0, error))?;
            self.torn = false;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            let written = lines.len() - rest.len();
            match self.file.write(rest) {
                Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
                Ok(count) => {
                    self.torn = rest.get(count - 1) != Some(&b'\n');
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }
}

/// Opens the file for appending; makes it and its directory if they are missing.
fn open_or_create(path: &Path) -> io::Result<File> {
    // Reading is only for the last byte.
    let mut options = OpenOptions::new();
    options.read(true).append(true);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => return result,
    }
    if let Some(directory) = path.parent() {
        create_directory(directory)?;
    }
    match options.create_new(true).mode(FILE_MODE).open(path) {
        Ok(file) => {
            // Whatever the umask is; and the group may read it that may read the folder.
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
            share_with_group_of_folder(&file, path);
            Ok(file)
        }
        // logrotate was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            options.create_new(false).open(path)
        }
        Err(error) => Err(error),
    }
}

fn create_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
    // Without this only root could read; where it is not allowed (no CAP_CHOWN) that is so, and no reason to log nothing.
    if let Ok(Some(group)) = Group::from_name(LOG_READERS) {
        let _ = chown(directory, None, Some(group.gid));
    }
    Ok(())
}

fn share_with_group_of_folder(file: &File, path: &Path) {
    let group = path.parent().and_then(|folder| fs::metadata(folder).ok()).map(|m| m.gid());
    if let Some(group) = group.filter(|group| *group != Gid::effective().as_raw()) {
        // As above: best effort.
        let _ = fchown(file, None, Some(group));
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}
