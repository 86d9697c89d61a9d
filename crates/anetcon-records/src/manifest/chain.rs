//! The file of the entries: appended to, put on disk at once, never edited.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use super::entry::{Entry, Hash};
use crate::file::LogFile;

/// What is wrong with the chain itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This line is no entry: it was altered, or a power cut tore it.
    Damaged {
        /// The line, from 1.
        line: u64,
    },
    /// This line does not follow the one before it: that was altered, or lines between them were removed or added.
    Broken {
        /// The line, from 1.
        line: u64,
    },
}

/// What the chain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The entries, the oldest first.
    pub entries: Vec<Entry>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
    /// The hash of the last line, which the next entry is to hold.
    pub head: Hash,
}

impl Chain {
    /// Reads the chain. A file that is missing holds none.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            result => result?,
        };
        Ok(Self::of(&bytes))
    }

    fn of(bytes: &[u8]) -> Self {
        let mut chain = Self { entries: Vec::new(), faults: Vec::new(), head: Hash::ZERO };
        for (text, line) in bytes.split_inclusive(|&byte| byte == b'\n').zip(1..) {
            match serde_json::from_slice::<Entry>(text) {
                Ok(entry) if text.ends_with(b"\n") => {
                    if entry.previous != chain.head {
                        chain.faults.push(Fault::Broken { line });
                    }
                    chain.entries.push(entry);
                }
                _ => chain.faults.push(Fault::Damaged { line }),
            }
            chain.head = Hash::of(text);
        }
        // What a power cut tore is sealed with a newline before the next entry follows it.
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            let start = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            let torn = bytes.get(start..).unwrap_or_default();
            chain.head = Hash::of(&[torn, b"\n"].concat());
        }
        chain
    }

    /// The hashes of all files that are listed.
    pub fn listed(&self) -> HashSet<Hash> {
        self.entries.iter().map(|entry| entry.sha256).collect()
    }
}

/// Appends an entry, and gives the new head.
///
/// # Errors
/// The disk's; then it is not in the chain.
pub(super) fn append(file: &mut LogFile, entry: &Entry) -> io::Result<Hash> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    file.append(&line, Instant::now()).map_err(|error| error.source)?;
    file.sync()?;
    Ok(Hash::of(&line))
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Damaged { line } => write!(f, "line {line} of the chain is no entry"),
            Self::Broken { line } => write!(
                f,
                "line {line} of the chain does not follow the line before it: that was altered, or lines are missing or added"
            ),
        }
    }
}
