//! The ledger, read by anybody: the agent at its start, `anetconctl` at any time.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anetcon_core::ledger::{Account, Span};
use jiff::Timestamp;

use memchr::memmem::Finder;

use super::book::rotated;
use super::{ALIVE_NAME, Beat, FILE_NAME};

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// What the lines say together of the span.
    pub account: Account,
    /// Lines that are none, by file.
    pub damaged: Vec<(PathBuf, u64)>,
    /// The last sign of life.
    pub beat: Option<Beat>,
}

/// All files of a state directory, as far as they tell of a span. What they say beside it is not kept in memory.
///
/// # Errors
/// A file or the folder cannot be read. What is missing holds nothing.
pub fn read(folder: &Path, span: Span) -> io::Result<Read> {
    let is_needed = |from, to| span.touches(from, Some(to));
    let mut read = Read { beat: Beat::read(&folder.join(ALIVE_NAME))?, ..Read::default() };
    for path in rotated(folder)?.into_iter().chain([folder.join(FILE_NAME)]) {
        let damaged = add_file(&mut read.account, &path, |_| true, is_needed)?;
        if damaged > 0 {
            read.damaged.push((path, damaged));
        }
    }
    Ok(read)
}

/// What a start has to know.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// The gaps that have not ended; of others it may know nothing.
    pub(super) account: Account,
    /// The last sign of life.
    pub(super) beat: Option<Beat>,
}

/// After so many lines what is not asked for is forgotten.
const FORGET: u64 = 1024;

/// What the run before left open, in little memory. A new file repeats all that is open; the one before is read too, for an agent may
/// have died between making a file and filling it.
///
/// # Errors
/// As [`read`].
pub(super) fn left_open(folder: &Path) -> io::Result<Left> {
    // Most lines of a machine with many namespaces, and they open nothing.
    let stood = Finder::new(br#""mark":"stood""#);
    let mut left = Left { beat: Beat::read(&folder.join(ALIVE_NAME))?, ..Left::default() };
    for path in rotated(folder)?.pop().into_iter().chain([folder.join(FILE_NAME)]) {
        add_file(&mut left.account, &path, |line| stood.find(line).is_none(), |_, _| false)?;
    }
    Ok(left)
}

/// Takes in every line of a file that is wanted, and counts those that are none. A file that is missing has none.
fn add_file(
    account: &mut Account,
    path: &Path,
    is_wanted: impl Fn(&[u8]) -> bool,
    is_needed: impl Fn(Timestamp, Timestamp) -> bool,
) -> io::Result<u64> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        result => result?,
    };
    let mut damaged = 0;
    for (line, number) in BufReader::new(file).split(b'\n').zip(1..) {
        let line = line?;
        if is_wanted(&line) {
            match serde_json::from_slice(&line) {
                Ok(entry) => account.add(entry),
                Err(_) => damaged += u64::from(!line.is_empty()),
            }
        }
        if number % FORGET == 0 {
            account.forget(&is_needed);
        }
    }
    Ok(damaged)
}
