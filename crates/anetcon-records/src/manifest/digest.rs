//! What is known of a file's content: its hash, length and times.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use memchr::{memchr, memchr_iter, memrchr};
use sha2::{Digest as _, Sha256};

use super::entry::Hash;
use crate::search::files::{Content, LogFile};

/// How much is read at once; a line of ours has 1 KiB.
const PIECE: usize = 1 << 18;

/// A file's content, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digested {
    pub(crate) sha256: Hash,
    pub(crate) bytes: u64,
    pub(crate) lines: u64,
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
}

/// Reads all of a file.
///
/// # Errors
/// It cannot be read or unpacked.
pub(crate) fn digest(path: &Path, content: Content) -> io::Result<Digested> {
    let file = LogFile::open(path.to_owned(), content, String::new())?;
    let mut stream = file.stream()?;
    let mut hasher = Sha256::new();
    let (mut bytes, mut lines) = (0, 0);
    let mut buffer = vec![0; PIECE];
    // The last line may lie in two pieces.
    let mut tail: Vec<u8> = Vec::new();
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = buffer.get(..count).unwrap_or_default();
        hasher.update(piece);
        bytes += count as u64;
        lines += memchr_iter(b'\n', piece).count() as u64;
        tail.extend_from_slice(piece);
        let surplus = tail.len().saturating_sub(PIECE);
        tail.drain(..surplus);
    }
    let last = last_time(&file, &tail);
    Ok(Digested { sha256: Hash(hasher.finalize().into()), bytes, lines, first: file.first, last })
}

/// The time of the last line that tells one.
fn last_time(file: &LogFile, mut tail: &[u8]) -> Option<Timestamp> {
    loop {
        let end = memrchr(b'\n', tail)?;
        let before = tail.get(..end)?;
        let start = memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        if let Some(time) = file.filed(before.get(start..)?) {
            return Some(time);
        }
        // Without a newline before it this was all.
        memchr(b'\n', before)?;
        tail = tail.get(..start)?;
    }
}
