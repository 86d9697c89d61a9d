//! The files that are searched: which there are, how they are packed, and where in them a time is.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use jiff::{SignedDuration, Timestamp};
use memchr::memchr;
use serde::Deserialize;

use super::blocks::BLOCK;
use crate::session::record::Micros;

/// Lines are in the order in which they were filed, to this much: a record that is filed within a second does not say so, and
/// clocks are set back by a little now and then.
pub(crate) const OUT_OF_ORDER: SignedDuration = SignedDuration::from_secs(2);

/// How much later than its event a record may be filed and still be found behind the end of a span: at most this much time
/// and [`LATE_BYTES`]. It happens when the agent was away and its sockets were kept for it; nobody wrote meanwhile, so
/// what was late comes first.
pub(crate) const LATE: SignedDuration = SignedDuration::from_hours(24);
pub(crate) const LATE_BYTES: u64 = 32 << 20;

/// The bisection ends at this many bytes.
const CLOSE: u64 = 64 << 10;

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// Session records.
    Sessions,
    /// Kernel log lines of connections to floating addresses.
    KernelFloat,
    /// Kernel log lines of all others.
    KernelNat,
}

/// How a file is packed, by its first bytes; its name may say anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// In a way that we cannot undo: its name.
    Foreign(&'static str),
}

/// A file that may hold answers.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
    /// What stands before the live file's name: files of several machines may lie side by side.
    pub(crate) series: String,
    pub(crate) file: Arc<File>,
    pub(crate) packing: Packing,
    pub(crate) length: u64,
    /// When the first line was filed that says so.
    pub(crate) first: Option<Timestamp>,
}

/// Paths of a live file and of those that were rotated from it.
///
/// # Errors
/// The folder cannot be read. One that is missing holds none.
pub(crate) fn family(live: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let (Some(folder), Some(name)) = (live.parent(), live.file_name().and_then(|n| n.to_str()))
    else {
        return Ok(Vec::new());
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(found),
        result => result?,
    };
    for entry in entries {
        let path = entry?.path();
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let file = file.unwrap_or_default();
        let Some((series, rest)) = file.split_once(name) else { continue };
        if (rest.is_empty() || rest.starts_with(['.', '-', '_'])) && path.is_file() {
            found.push((path, series.to_owned()));
        }
    }
    found.sort();
    Ok(found)
}

impl LogFile {
    /// Opens a file and looks at its beginning.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn open(path: PathBuf, content: Content, series: String) -> io::Result<Self> {
        let file = Arc::new(File::open(&path)?);
        let length = file.metadata()?.len();
        let packing = packing(&file)?;
        let mut opened = Self { path, content, series, file, packing, length, first: None };
        opened.first = opened.first_time();
        Ok(opened)
    }

    /// The whole of it, unpacked.
    ///
    /// # Errors
    /// It cannot be unpacked.
    pub(crate) fn stream(&self) -> io::Result<Box<dyn Read + '_>> {
        let whole = Range { file: &self.file, from: 0, to: u64::MAX };
        Ok(match self.packing {
            Packing::Plain => Box::new(whole),
            Packing::Gzip => {
                let packed = BufReader::with_capacity(1 << 18, whole);
                Box::new(MultiGzDecoder::new(packed))
            }
            Packing::Zstd => Box::new(zstd::Decoder::new(whole)?),
            Packing::Foreign(name) => {
                let message =
                    format!("packed with {name}, which is not understood: unpack it first");
                return Err(io::Error::new(ErrorKind::Unsupported, message));
            }
        })
    }

    /// Whole lines of a plain file.
    pub(crate) fn range(&self, from: u64, to: u64) -> impl Read + '_ {
        Range { file: &self.file, from, to }
    }

    /// Where in a plain file the lines that were filed in a span begin and end; late ones are in it as far as it goes.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn locate(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> io::Result<(u64, u64)> {
        let start = match from.and_then(|from| from.checked_sub(OUT_OF_ORDER).ok()) {
            Some(from) => self.bisect(|filed| filed.is_some_and(|filed| filed < from))?,
            None => 0,
        };
        let Some(to) = to.and_then(|to| to.checked_add(OUT_OF_ORDER).ok()) else {
            return Ok((start, self.length));
        };
        let end = self.bisect(|filed| filed.is_none_or(|filed| filed <= to))?;
        if self.content != Content::Sessions {
            return Ok((start, end));
        }
        let late = to.checked_add(LATE).unwrap_or(Timestamp::MAX);
        let latest = self.bisect(|filed| filed.is_none_or(|filed| filed <= late))?;
        let most = self.line_start(end.saturating_add(LATE_BYTES))?;
        Ok((start, latest.min(most).max(end)))
    }

    /// The first line start at or after a position.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn line_start(&self, position: u64) -> io::Result<u64> {
        let Some(mut at) = position.checked_sub(1) else { return Ok(0) };
        let mut piece = [0; 4096];
        while at < self.length {
            let count = read_at(&self.file, &mut piece, at)?;
            if count == 0 {
                break;
            }
            let read = piece.get(..count).unwrap_or_default();
            if let Some(newline) = memchr(b'\n', read) {
                return Ok(at + newline as u64 + 1);
            }
            at += count as u64;
        }
        Ok(self.length)
    }

    /// When a line was filed.
    pub(crate) fn filed(&self, line: &[u8]) -> Option<Timestamp> {
        match self.content {
            Content::Sessions => session_filed(line),
            Content::KernelFloat | Content::KernelNat => kernel_time(line),
        }
    }

    /// The last line start up to which `before` holds, if it holds for all lines before some place and none behind.
    fn bisect(&self, before: impl Fn(Option<Timestamp>) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.length);
        while high - low > CLOSE {
            let middle = self.line_start(low + (high - low) / 2)?;
            if middle >= high {
                break;
            }
            if before(self.filed_near(middle)?) {
                low = middle;
            } else {
                high = middle;
            }
        }
        // The last stretch is decided line by line.
        let mut at = low;
        while at < high {
            let next = self.line_start(at + 1)?;
            if !before(self.filed_near(at)?) {
                return Ok(at);
            }
            at = next;
        }
        Ok(high)
    }

    /// When the line at a position was filed, or one of the next ones if it is damaged.
    fn filed_near(&self, position: u64) -> io::Result<Option<Timestamp>> {
        let mut piece = [0; 8192];
        let count = read_at(&self.file, &mut piece, position)?;
        let read = piece.get(..count).unwrap_or_default();
        Ok(read.split(|&byte| byte == b'\n').find_map(|line| self.filed(line)))
    }

    /// When the last line of a plain file was filed.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        if self.packing != Packing::Plain {
            return self.first;
        }
        let mut end = vec![0; usize::try_from(CLOSE.min(self.length)).ok()?];
        let count = read_at(&self.file, &mut end, self.length.saturating_sub(CLOSE)).ok()?;
        end.get(..count)?.rsplit(|&byte| byte == b'\n').find_map(|line| self.filed(line))
    }

    fn first_time(&self) -> Option<Timestamp> {
        let mut beginning = Vec::new();
        // An error shows again when the file is searched.
        let stream = self.stream().ok()?;
        let _ = stream.take(CLOSE.min(BLOCK as u64)).read_to_end(&mut beginning);
        beginning.split(|&byte| byte == b'\n').find_map(|line| self.filed(line))
    }
}

/// A part of a file that several threads may read at once.
struct Range<'a> {
    file: &'a File,
    from: u64,
    to: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.to.saturating_sub(self.from)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(rest);
        let count = self.file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), self.from)?;
        self.from += count as u64;
        Ok(count)
    }
}

fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, position) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn packing(file: &File) -> io::Result<Packing> {
    const MAGIC: [(&[u8], Packing); 5] = [
        (b"\x1f\x8b", Packing::Gzip),
        (b"\x28\xb5\x2f\xfd", Packing::Zstd),
        (b"\xfd7zXZ\0", Packing::Foreign("xz")),
        (b"BZh", Packing::Foreign("bzip2")),
        (b"\x04\x22\x4d\x18", Packing::Foreign("lz4")),
    ];
    let mut head = [0; 6];
    let count = read_at(file, &mut head, 0)?;
    let head = head.get(..count).unwrap_or_default();
    let found = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
    Ok(found.map_or(Packing::Plain, |(_, packing)| *packing))
}

/// As [`SessionRecord::filed`](crate::session::SessionRecord::filed), reading no more of the line than that takes.
fn session_filed(line: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Filed {
        #[serde(rename = "@timestamp")]
        timestamp: Micros,
        event: Created,
    }
    #[derive(Deserialize)]
    struct Created {
        created: Option<Micros>,
    }
    let filed: Filed = serde_json::from_slice(line).ok()?;
    Some(filed.event.created.unwrap_or(filed.timestamp).0)
}

/// The time at the beginning of a line that rsyslog or we wrote.
pub(crate) fn kernel_time(line: &[u8]) -> Option<Timestamp> {
    let end = memchr(b' ', line)?;
    std::str::from_utf8(line.get(..end)?).ok()?.parse().ok()
}
