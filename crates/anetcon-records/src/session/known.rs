//! Which connections are on record already, so that a dump of open connections writes none of them twice.
//!
//! A connection is known by its namespace's cookie, its conntrack id and its tuples as they are written. Memory is bounded:
//! two generations, the older of which is forgotten when the younger is full; what a dump finds again moves to the younger, so
//! a connection that stays open stays known. For what is not remembered and yet may be on record, `history` asks the files.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::record::{Endpoint, SessionRecord};
use crate::search::files::family;
use crate::tail::newest_rotated;

/// How many connections are remembered in each of the two generations. A hash table of 2^20 places of 17 bytes is full
/// then, so both take 36 MiB at most.
pub const GENERATION: usize = 900_000;

/// How much of the newest files is read at the start: about 400,000 records.
pub const TAIL: u64 = 256 << 20;

/// A dump and the event of the same connection come on two sockets. An event that has no time of its own and is read within
/// this time after a dump found the connection is taken for that connection's, not for a new one with the same key.
const RACE: SignedDuration = SignedDuration::from_secs(5);

/// No line of ours is nearly as long.
const LONGEST_LINE: u64 = 64 << 10;

/// A connection, by a hash that is made anew in each process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

/// What is remembered of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// When it was opened, or seen.
    pub at: Timestamp,
    /// It was found by a dump: the event of its opening may still come.
    pub seen: bool,
}

/// A [`Noted`] in eight bytes: microseconds since 1970, and in the lowest bit whether it was seen.
#[derive(Debug, Clone, Copy)]
struct Packed(i64);

/// The connections that are on record.
#[derive(Debug, Clone)]
pub struct Known {
    young: HashMap<Key, Packed>,
    old: HashMap<Key, Packed>,
    generation: usize,
    complete: bool,
}

impl Key {
    /// The key of a connection with its ends as a record has them.
    pub fn new(cookie: &str, id: u32, zone: u16, ends: [Option<&Endpoint>; 2]) -> Self {
        let mut hasher = DefaultHasher::new();
        (cookie, id, zone).hash(&mut hasher);
        for end in ends {
            let end = end.map(|end| (end.ip, end.port, end.nat.map(|nat| (nat.ip, nat.port))));
            end.hash(&mut hasher);
        }
        Self(hasher.finish())
    }

    /// The key of a connection on record.
    pub fn of(record: &SessionRecord<'_>) -> Self {
        let anetcon = &record.anetcon;
        let ends = [record.source.as_ref(), record.destination.as_ref()];
        Self::new(&anetcon.cookie, anetcon.conntrack_id, anetcon.zone, ends)
    }
}

impl From<Noted> for Packed {
    fn from(noted: Noted) -> Self {
        Self(noted.at.as_microsecond() << 1 | i64::from(noted.seen))
    }
}

impl From<Packed> for Noted {
    fn from(Packed(bits): Packed) -> Self {
        // It was a time when it was packed.
        let at = Timestamp::from_microsecond(bits >> 1).unwrap_or(Timestamp::MIN);
        Self { at, seen: bits & 1 == 1 }
    }
}

impl Known {
    /// Nothing is on record. Each generation holds this many.
    pub fn new(generation: usize) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self { young, old, generation: generation.max(1), complete: true }
    }

    /// Nothing is known of what is on record.
    pub fn unread(generation: usize) -> Self {
        Self { complete: false, ..Self::new(generation) }
    }

    /// What the newest files hold of this boot: at most `tail` bytes from the end of the live file and, for what remains of
    /// these, from the end of the newest file that was rotated and is not compressed. Damaged lines are passed over.
    ///
    /// # Errors
    /// A file is there but cannot be read; what was read before is lost with it, so nothing is known.
    pub fn read(path: &Path, boot_id: &str, tail: u64, generation: usize) -> io::Result<Self> {
        let mut known = Self::new(generation);
        let mut whole = 0;
        let rotated = newest_rotated(path);
        let rest = tail.saturating_sub(length(path)?);
        // The older first: what is in the younger generation in the end is what was opened last.
        for (path, tail) in rotated.iter().map(|path| (path.as_path(), rest)).chain([(path, tail)])
        {
            whole += usize::from(length(path)? <= tail && path.is_file());
            known.add_file(path, boot_id, tail)?;
        }
        let files = family(path)?.iter().filter(|(_, series)| series.is_empty()).count();
        known.complete &= whole == files;
        Ok(known)
    }

    /// Whether a connection that is not known is not on record: nothing was forgotten, and no file is unread.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this connection is known.
    pub fn has(&self, key: Key) -> bool {
        self.young.contains_key(&key) || self.old.contains_key(&key)
    }

    /// Whether the opening of this connection is on record already, because a dump was faster than the event. `told` is the
    /// kernel's time of the event, `read` when it was read.
    pub fn opened(&self, key: Key, told: Option<Timestamp>, read: Timestamp) -> bool {
        match self.get(key) {
            Some(Noted { at, seen: true }) => match told {
                Some(told) => told <= at,
                None => read.duration_since(at) <= RACE,
            },
            // An id may come again with the same tuple once the connection before is gone.
            _ => false,
        }
    }

    /// Whether a connection that a dump found open is on record already; `start` is when it began, where the kernel tells.
    pub fn found(&mut self, key: Key, start: Option<Timestamp>) -> bool {
        let Some(noted) = self.get(key) else { return false };
        if start.is_some_and(|start| start.duration_since(noted.at) > RACE) {
            return false;
        }
        if self.old.remove(&key).is_some() {
            self.note(key, noted);
        }
        true
    }

    /// Remembers a connection.
    pub fn note(&mut self, key: Key, noted: Noted) {
        if self.young.len() >= self.generation && !self.young.contains_key(&key) {
            let forgotten = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.complete &= forgotten.is_empty();
        }
        self.young.insert(key, noted.into());
    }

    /// Forgets a connection that is over, and says when it began if it was opened under our eyes.
    pub fn forget(&mut self, key: Key) -> Option<Timestamp> {
        let young = self.young.remove(&key);
        let old = self.old.remove(&key);
        young.or(old).map(Noted::from).filter(|noted| !noted.seen).map(|noted| noted.at)
    }

    fn get(&self, key: Key) -> Option<Noted> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied().map(Noted::from)
    }

    fn add_file(&mut self, path: &Path, boot_id: &str, tail: u64) -> io::Result<()> {
        // Opening a pipe would wait for somebody who writes to it.
        if tail == 0 || !path.is_file() {
            return Ok(());
        }
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result?,
        };
        let start = file.metadata()?.len().saturating_sub(tail);
        file.seek(SeekFrom::Start(start))?;
        let mut reader = BufReader::with_capacity(1 << 18, file.take(tail));
        let mut line = Vec::new();
        loop {
            line.clear();
            if reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            // The first line is cut, and so is one that a power cut ended: neither parses.
            let Ok(record) = serde_json::from_slice::<SessionRecord<'_>>(&line) else { continue };
            if record.anetcon.boot_id == boot_id {
                self.add(&record);
            }
        }
    }

    fn add(&mut self, record: &SessionRecord<'_>) {
        let key = Key::of(record);
        match Noted::of(record) {
            Some(noted) => self.note(key, noted),
            None => {
                self.forget(key);
            }
        }
    }
}

fn length(path: &Path) -> io::Result<u64> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}
