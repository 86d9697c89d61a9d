//! A file that is there in full or not at all: written beside its place, made durable, then named.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why there is no such file now.
#[derive(Debug)]
pub enum Error {
    /// There is one already, and it was left as it is.
    Exists,
    /// The system's reason.
    Io(io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists,
            _ => Self::Io(error),
        }
    }
}

/// Writes a file that everybody may read. Its folder is made if it is missing. With `replace` one that exists is replaced, and keeps
/// its permissions.
///
/// # Errors
/// What kept it from being written; then nothing was changed.
pub fn write(path: &Path, bytes: &[u8], replace: bool) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(Error::Io)?;
    let draft = draft(folder, path);
    let done = fill(&draft, bytes)
        .map_err(Error::Io)
        .and_then(|()| if replace { take_over(&draft, path) } else { name(&draft, path) });
    if done.is_err() {
        // What failed is told; a draft that stays behind harms nobody.
        let _ = fs::remove_file(&draft);
    }
    done?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::Io)
}

/// The draft has a name of its own for each process.
fn draft(folder: &Path, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder.join(format!(".{name}.{}", std::process::id()))
}

fn fill(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A link fails where the name is taken, so nothing that appears meanwhile is lost.
fn name(draft: &Path, path: &Path) -> Result<(), Error> {
    fs::hard_link(draft, path)?;
    fs::remove_file(draft).map_err(Error::Io)
}

fn take_over(draft: &Path, path: &Path) -> Result<(), Error> {
    if let Ok(existing) = fs::metadata(path) {
        fs::set_permissions(draft, existing.permissions()).map_err(Error::Io)?;
    }
    fs::rename(draft, path).map_err(Error::Io)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_only_when_asked_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/anetcon.toml");
        write(&path, b"one", false).unwrap();
        assert!(matches!(write(&path, b"two", false), Err(Error::Exists)));
        assert_eq!(fs::read(&path).unwrap(), b"one");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write(&path, b"two", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1, "a draft is left");
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(matches!(write(&path, b"one", true), Err(Error::Io(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a draft is left");
    }
}
