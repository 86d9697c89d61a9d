//! Looks through the files for connections that are open and that memory does not know, so that none is written again.
//!
//! Memory holds what was opened last; a connection may be open for weeks. Files are read from the newest back, until all is
//! found or the boot began. How the answer is used is the matter of [`doubts`](super::doubts).

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use super::known::{Key, Noted};
use super::record::{RecordAction, SessionRecord};
use crate::search::blocks::{Block, Buffer};
use crate::search::files::{Content, LogFile, family};

/// What stands before the id, as we write it.
const ID: &[u8] = b"\"conntrack_id\":";

/// Connections that are looked for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    boot_id: String,
    keys: HashSet<Key>,
    /// The kernel's ids of them: a look at these spares nearly all lines from being parsed.
    ids: HashSet<u32>,
}

impl Wanted {
    pub(crate) fn new(boot_id: &str) -> Self {
        Self { boot_id: boot_id.to_owned(), ..Self::default() }
    }

    /// Looks for a connection, too, by any of its keys.
    pub(crate) fn add(&mut self, id: u32, keys: [Key; 2]) {
        self.ids.insert(id);
        self.keys.extend(keys);
    }

    /// Those that are on record and not over, in the live file and those rotated from it. `stop` ends it early.
    ///
    /// # Errors
    /// The folder cannot be read. A file that cannot be read says nothing; what comes before the damage counts.
    pub(crate) fn search(
        mut self,
        live: &Path,
        stop: &AtomicBool,
    ) -> io::Result<HashMap<Key, Noted>> {
        let ours = family(live)?.into_iter().filter(|(_, series)| series.is_empty());
        let mut files: Vec<LogFile> = ours
            .filter_map(|(path, series)| LogFile::open(path, Content::Sessions, series).ok())
            .collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.first));
        let mut found = HashMap::new();
        let mut buffer = Buffer::new();
        for file in files {
            if self.keys.is_empty() || stop.load(Ordering::Relaxed) {
                break;
            }
            let mut told = Told::default();
            // What a damaged file holds before the damage counts; `who` is the one that names damage.
            let _ = self.read(&file, &mut buffer, stop, &mut told);
            for (key, noted) in told.connections {
                // A younger file knows better.
                if self.keys.remove(&key) {
                    found.extend(noted.map(|noted| (key, noted)));
                }
            }
            if told.other_boot {
                break;
            }
        }
        Ok(found)
    }

    fn read(
        &self,
        file: &LogFile,
        buffer: &mut Buffer,
        stop: &AtomicBool,
        told: &mut Told,
    ) -> io::Result<()> {
        let finder = Finder::new(ID);
        let mut first = true;
        buffer.each(&mut *file.stream()?, |block| {
            // What is being written, or was cut, is no record.
            if let Block::Lines(lines) = block {
                if std::mem::take(&mut first) {
                    told.other_boot = parse(lines, 0).is_some_and(|r| !self.is_of_boot(&r));
                }
                for at in finder.find_iter(lines) {
                    self.line(lines, at, told);
                }
            }
            if stop.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    }

    fn line(&self, lines: &[u8], at: usize, told: &mut Told) {
        let digits = lines.get(at + ID.len()..).unwrap_or_default();
        if !number(digits).is_some_and(|id| self.ids.contains(&id)) {
            return;
        }
        let Some(record) = parse(lines, at).filter(|record| self.is_of_boot(record)) else {
            return;
        };
        let key = Key::of(&record);
        if self.keys.contains(&key) {
            told.connections.insert(key, Noted::of(&record));
        }
    }

    fn is_of_boot(&self, record: &SessionRecord<'_>) -> bool {
        record.anetcon.boot_id == self.boot_id
    }
}

/// What a file tells.
#[derive(Debug, Default)]
struct Told {
    /// `None`: it is over.
    connections: HashMap<Key, Option<Noted>>,
    /// It begins with a record of another boot: older files hold nothing of this one.
    other_boot: bool,
}

impl Noted {
    /// What is to be remembered of a connection after this record of it; `None` if it is over.
    pub(crate) fn of(record: &SessionRecord<'_>) -> Option<Self> {
        let seen = match record.event.action {
            RecordAction::End => return None,
            RecordAction::Seen => true,
            RecordAction::Float | RecordAction::Nat | RecordAction::Direct => false,
        };
        Some(Self { at: record.timestamp.0, seen })
    }
}

/// The record of the line around a position.
fn parse(lines: &[u8], at: usize) -> Option<SessionRecord<'_>> {
    let start = memrchr(b'\n', lines.get(..at)?).map_or(0, |newline| newline + 1);
    let end = memchr(b'\n', lines.get(at..)?).map_or(lines.len(), |length| at + length);
    serde_json::from_slice(lines.get(start..end)?).ok()
}

fn number(digits: &[u8]) -> Option<u32> {
    let length = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(digits.get(..length)?).ok()?.parse().ok()
}
