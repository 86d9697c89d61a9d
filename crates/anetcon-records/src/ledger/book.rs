//! The ledger's file: appended to, put on disk at once, rotated by size, never edited.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;
use memchr::memchr_iter;

use super::FILE_NAME;
use crate::file::LogFile;

/// A file of this size is put aside: some 20,000 gaps.
pub(super) const LARGEST: u64 = 8 << 20;

/// So many are kept beside the live one; older ones are deleted.
pub(super) const KEPT: usize = 32;

/// The file.
#[derive(Debug)]
pub(super) struct Book {
    folder: PathBuf,
    file: LogFile,
    largest: u64,
    /// Lines that are not in the file yet: the disk was full.
    waiting: Vec<u8>,
}

impl Book {
    pub(super) fn new(folder: &Path, largest: u64) -> Self {
        let file = LogFile::new(folder.join(FILE_NAME));
        Self { folder: folder.to_owned(), file, largest, waiting: Vec::new() }
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Adds whole lines, to be written with the next [`flush`](Self::flush).
    pub(super) fn add(&mut self, lines: &[u8]) {
        self.waiting.extend_from_slice(lines);
    }

    /// Puts everything on disk. What could not be written stays for the next time.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        match self.file.append(&self.waiting, Instant::now()) {
            Ok(_) => self.waiting.clear(),
            Err(error) => {
                // The line that was cut is sealed by the next write and then written again.
                let unwritten = last_lines(&self.waiting, error.unwritten).to_vec();
                self.waiting = unwritten;
                return Err(error.source);
            }
        }
        self.file.sync()
    }

    /// Puts the file aside if it is large. Whether that was done: what is open must be told anew then.
    ///
    /// # Errors
    /// It stays where it is.
    pub(super) fn rotate(&mut self, now: Timestamp) -> io::Result<bool> {
        match fs::metadata(self.file.path()) {
            Ok(metadata) if metadata.len() >= self.largest => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        let name = format!("{FILE_NAME}.{}", now.strftime("%Y%m%dT%H%M%S%.6fZ"));
        fs::rename(self.file.path(), self.folder.join(name))?;
        self.file = LogFile::new(self.folder.join(FILE_NAME));
        let mut old = rotated(&self.folder)?;
        old.truncate(old.len().saturating_sub(KEPT));
        old.iter().try_for_each(fs::remove_file)?;
        Ok(true)
    }
}

fn last_lines(text: &[u8], count: u64) -> &[u8] {
    let ends: Vec<usize> = memchr_iter(b'\n', text).collect();
    let written = ends.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
    let from = written.checked_sub(1).and_then(|last| ends.get(last)).map_or(0, |end| end + 1);
    text.get(from..).unwrap_or_default()
}

/// The files that were put aside, the oldest first.
///
/// # Errors
/// The folder cannot be read. One that is missing holds none.
pub(super) fn rotated(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // The time in the name sorts as text.
        if name.strip_prefix(FILE_NAME).is_some_and(|rest| rest.starts_with(".2")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_those_that_are_missing() {
        let text = b"one\ntwo\nthree\n";
        let cases: [(u64, &[u8]); 4] = [(0, b""), (1, b"three\n"), (2, b"two\nthree\n"), (9, text)];
        for (count, expected) in cases {
            assert_eq!(last_lines(text, count), expected, "{count}");
        }
    }

    #[test]
    fn a_large_file_is_put_aside_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::new(folder.path(), 4);
        let now = Timestamp::now();
        for second in 0..40 {
            book.add(b"line\n");
            book.flush().unwrap();
            assert!(book.rotate(now + jiff::SignedDuration::from_secs(second)).unwrap());
            assert!(!book.rotate(now).unwrap(), "there is no file now");
        }
        assert_eq!(rotated(folder.path()).unwrap().len(), KEPT);
    }

    #[test]
    fn what_a_full_disk_refused_is_written_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let mut book = Book::new(folder.path(), LARGEST);
        book.add(b"one\n");
        assert!(book.flush().is_err());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        book.add(b"two\n");
        book.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
    }
}
