//! What stands at the end of the log files already, so that a start repeats nothing.
//!
//! The saved position alone cannot tell: the agent may have been killed between writing lines and saving the position. And the
//! lines may stand in the file that was just rotated away. Only the last [`TAIL`] bytes are read, several times what a
//! kernel ring holds.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::kmsg::Record;
use crate::line::{self, printable};

/// How much of a file is looked at.
pub const TAIL: u64 = 8 * 1024 * 1024;

/// Suffixes of files that cannot be read as text.
const COMPRESSED: [&str; 5] = [".gz", ".xz", ".bz2", ".zst", ".lz4"];

/// Records come nearly in the order of their times: each processor reads its own clock.
const OUT_OF_ORDER: Duration = Duration::from_secs(1);

/// The tails of all files that were asked about so far.
#[derive(Debug, Clone, Default)]
pub struct Tails {
    by_path: HashMap<PathBuf, Tail>,
}

impl Tails {
    /// Whether the record stands in the file at `path`, or in the one rotated from it; asking takes it out. The first
    /// question about a file reads it, from that record's time on.
    ///
    /// # Errors
    /// The file is there but cannot be read. It counts as empty from then on.
    pub fn take(&mut self, path: &Path, record: &Record) -> io::Result<bool> {
        if let Some(tail) = self.by_path.get_mut(path) {
            return Ok(tail.take(record));
        }
        let read = Tail::read(path, record.monotonic.saturating_sub(OUT_OF_ORDER));
        let (mut tail, result) = match read {
            Ok(tail) => (tail, Ok(())),
            Err(error) => (Tail::default(), Err(error)),
        };
        let found = tail.take(record);
        self.by_path.insert(path.to_owned(), tail);
        result.map(|()| found)
    }
}

/// Records that were found in the files; each is told once for each time it stands there.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    lines: HashMap<(Option<Duration>, String), u32>,
}

impl Tail {
    /// Looks for records that were logged at `oldest` or later in a log file and in the newest file that was
    /// rotated from it. A file that is missing holds none.
    ///
    /// # Errors
    /// A file is there but cannot be read.
    pub fn read(path: &Path, oldest: Duration) -> io::Result<Self> {
        let mut tail = Self::default();
        tail.add(path, oldest)?;
        if let Some(rotated) = newest_rotated(path) {
            tail.add(&rotated, oldest)?;
        }
        Ok(tail)
    }

    /// Whether the record stands in a file; asking takes it out.
    pub fn take(&mut self, record: &Record) -> bool {
        let message = printable(&record.message);
        let exact = (Some(record.monotonic), message);
        if self.take_line(&exact) {
            return true;
        }
        // Some rsyslog versions drop the uptime. The packet's id and ports make the message unlike any other.
        self.take_line(&(None, exact.1))
    }

    fn take_line(&mut self, line: &(Option<Duration>, String)) -> bool {
        match self.lines.get_mut(line) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    fn add(&mut self, path: &Path, oldest: Duration) -> io::Result<()> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result?,
        };
        let start = file.metadata()?.len().saturating_sub(TAIL);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        for line in bytes.split(|&byte| byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            let Some(written) = line::parse(&text) else { continue };
            if written.monotonic.is_none_or(|monotonic| monotonic >= oldest) {
                let key = (written.monotonic, written.message.to_owned());
                *self.lines.entry(key).or_default() += 1;
            }
        }
        Ok(())
    }
}

/// The newest sibling that logrotate made of this file: `NAME.1`, `NAME-20261123`, not compressed.
pub(crate) fn newest_rotated(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let entries = fs::read_dir(path.parent()?).ok()?.flatten();
    let rotated = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(|other| is_rotated(name, other)));
    let modified = |entry: &fs::DirEntry| entry.metadata().and_then(|m| m.modified()).ok();
    let newest = rotated.max_by_key(|entry| modified(entry).unwrap_or(SystemTime::UNIX_EPOCH))?;
    Some(newest.path())
}

fn is_rotated(name: &str, other: &str) -> bool {
    let rest = other.strip_prefix(name).unwrap_or_default();
    rest.starts_with(['.', '-']) && !COMPRESSED.iter().any(|suffix| rest.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn record(micros: u64, message: &str) -> Record {
        Record {
            sequence: micros,
            monotonic: Duration::from_micros(micros),
            facility: 0,
            level: 4,
            message: message.into(),
        }
    }

    fn written(record: &Record) -> String {
        line::format(record, Timestamp::UNIX_EPOCH, "vm")
    }

    #[test]
    fn records_are_found_in_the_file_and_in_the_one_rotated_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let records: Vec<_> = (1..=4).map(|n| record(n * 1_000_000, "m\n")).collect();
        fs::write(&path, written(&records[3]) + "torn").unwrap();
        for (name, index) in [("a.log-20261123", 2), ("a.log-20261123.gz", 1), ("b.log.1", 1)] {
            fs::write(directory.path().join(name), written(&records[index])).unwrap();
        }
        let mut tail = Tail::read(&path, Duration::ZERO).unwrap();
        let found: Vec<_> = records.iter().map(|record| tail.take(record)).collect();
        assert_eq!(found, [false, false, true, true]);
        assert!(!tail.take(&records[3]), "each line answers once");
    }

    #[test]
    fn older_lines_are_not_kept_in_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let (old, new) = (record(1, "m"), record(2, "m"));
        fs::write(&path, written(&old) + &written(&new)).unwrap();
        let mut tail = Tail::read(&path, new.monotonic).unwrap();
        assert_eq!(tail.lines.len(), 1);
        assert!(tail.take(&new));
    }

    #[test]
    fn a_line_of_rsyslog_without_uptime_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        fs::write(&path, "2026-11-23T16:15:10.411671+00:00 vm kernel: [A][D] IN= ID=1 \n").unwrap();
        let mut tail = Tail::read(&path, Duration::ZERO).unwrap();
        assert!(tail.take(&record(7, "[A][D] IN= ID=1 ")));
        assert!(!tail.take(&record(8, "[A][D] IN= ID=1 ")));
    }

    #[test]
    fn a_missing_file_holds_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut tail = Tail::read(&directory.path().join("no/a.log"), Duration::ZERO).unwrap();
        assert!(!tail.take(&record(1, "m")));
    }
}
