//! Goes through the files, on all processors.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anetcon_core::hashfile::HashFile;
use jiff::Timestamp;
use memchr::memchr_iter;

use super::best::{Answer, Best, Hit};
use super::blocks::{Block, Buffer};
use super::files::{Content, LATE, LATE_BYTES, LogFile, OUT_OF_ORDER, Packing, family};
use super::filter::Filter;
use super::kernel::KernelLine;
use super::query::{Fit, Query, Span};
use super::sources::Sources;
use crate::session::SessionRecord;

/// A plain file is searched in pieces of this size.
const PIECE: u64 = 16 << 20;

/// What a search gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The best hits, the best first.
    pub hits: Vec<Hit>,
    /// How many fit.
    pub matched: u64,
    /// Every file that was looked at or could not be.
    pub files: Vec<FileReport>,
    /// Whether lines of the kernel log were searched, too.
    pub kernel: bool,
    /// When the oldest and the newest session record were filed, as far as the files' beginnings and plain files tell.
    pub covered: Option<(Timestamp, Timestamp)>,
    /// The hash file could not be read.
    pub hashes: Option<String>,
}

/// What a file was worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// What its lines are.
    pub content: Content,
    /// How many bytes were searched, unpacked.
    pub searched: u64,
    /// Lines that are no records, or halves of them.
    pub damage: Damage,
    /// Why it, or the rest of it, could not be searched.
    pub error: Option<String>,
}

/// Damaged lines of one file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// How many.
    pub lines: u64,
    /// Where the first begins, in unpacked bytes.
    pub first: Option<u64>,
}

/// Searches all that the sources have. `limit` hits are kept.
///
/// # Errors
/// A folder cannot be read. What a single file refuses is in its report.
pub fn search(query: &Query, sources: &Sources, limit: usize) -> io::Result<Found> {
    let mut found = Found::default();
    let hashes = sources.read_hashes().unwrap_or_else(|error| {
        found.hashes = Some(error.to_string());
        HashFile::default()
    });
    let mut sessions = open(&sources.sessions, Content::Sessions, &mut found)?;
    sessions.sort_by(|one, other| (&one.series, one.first).cmp(&(&other.series, other.first)));
    found.covered = covered(&sessions);
    let (all, recorded) = scan(query, &hashes, &sessions, &[query.span], limit, &mut found);
    let (hits, matched) = Best::merged(all, limit);
    (found.hits, found.matched) = (hits, matched);

    // Nothing was recorded then, though records are older and newer: the agent was not there.
    let hole = !query.span.is_everything() && !recorded;
    let spans = match hole {
        true => vec![query.span],
        false => uncovered(query.span, found.covered, found.hits.is_empty()),
    };
    if !spans.is_empty() {
        let mut files = open(&sources.kernel_float, Content::KernelFloat, &mut found)?;
        files.extend(open(&sources.kernel_nat, Content::KernelNat, &mut found)?);
        files.sort_by(|one, other| {
            (one.content, &one.series, one.first).cmp(&(other.content, &other.series, other.first))
        });
        found.kernel = !files.is_empty();
        let (all, _) = scan(query, &hashes, &files, &spans, limit, &mut found);
        let (mut lines, matched) = Best::merged(all, limit);
        let fitting = lines.len() as u64;
        drop_recorded(&mut lines, &found.hits);
        found.matched += matched - (fitting - lines.len() as u64);
        found.hits.extend(lines);
        found.hits.truncate(limit.max(1));
    }
    Ok(found)
}

/// A line whose connection was found as a record, too, says nothing more.
fn drop_recorded(lines: &mut Vec<Hit>, records: &[Hit]) {
    let answers: Vec<Answer<'_>> = records.iter().filter_map(Hit::answer).collect();
    lines.retain(|line| {
        let Some(line) = &line.kernel else { return true };
        !answers.iter().any(|answer| match answer {
            Answer::Session(record) => line.is_of(record),
            Answer::Kernel(_) => false,
        })
    });
}

/// Opens a family of files. One that cannot be opened is reported.
fn open(live: &std::path::Path, content: Content, found: &mut Found) -> io::Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for (path, series) in family(live)? {
        match LogFile::open(path.clone(), content, series) {
            Ok(file) => files.push(file),
            Err(error) => {
                let error = Some(error.to_string());
                let damage = Damage::default();
                found.files.push(FileReport { path, content, searched: 0, damage, error });
            }
        }
    }
    Ok(files)
}

/// From when to when there are session records.
fn covered(files: &[LogFile]) -> Option<(Timestamp, Timestamp)> {
    let oldest = files.iter().filter_map(|file| file.first).min()?;
    let newest = files.iter().filter_map(LogFile::last).max().unwrap_or(oldest);
    Some((oldest, newest))
}

/// The parts of a span for which there are no session records. A span without ends is searched again only if nothing was found.
fn uncovered(
    span: Span,
    covered: Option<(Timestamp, Timestamp)>,
    nothing_found: bool,
) -> Vec<Span> {
    let Some((oldest, newest)) = covered else { return vec![span] };
    if span.is_everything() && !nothing_found {
        return Vec::new();
    }
    let before = Span { to: Some(span.to.map_or(oldest, |to| to.min(oldest))), ..span };
    let after = Span { from: Some(span.from.map_or(newest, |from| from.max(newest))), ..span };
    let real = |span: &Span| span.from.zip(span.to).is_none_or(|(from, to)| from < to);
    [before, after].into_iter().filter(real).collect()
}

/// A piece of work for one thread.
#[derive(Debug, Clone, Copy)]
struct Unit {
    file: usize,
    /// Of a plain file; all of a packed one.
    from: u64,
    to: u64,
    span: Span,
}

/// What all threads know.
struct Scan<'a> {
    query: &'a Query,
    hashes: &'a HashFile,
    files: &'a [LogFile],
    filter: Filter,
    /// The place of the first file's report.
    first_report: usize,
}

/// What one thread found.
struct Worker {
    best: Best,
    reports: Vec<(u64, Damage, Option<String>)>,
    buffer: Buffer,
    /// A line of the span was met, whether it fits or not.
    recorded: bool,
}

fn scan(
    query: &Query,
    hashes: &HashFile,
    files: &[LogFile],
    spans: &[Span],
    limit: usize,
    found: &mut Found,
) -> (Vec<Best>, bool) {
    let first_report = found.files.len();
    found.files.extend(files.iter().map(|file| FileReport {
        path: file.path.clone(),
        content: file.content,
        searched: 0,
        damage: Damage::default(),
        error: None,
    }));
    let sessions = files.iter().all(|file| file.content == Content::Sessions);
    let filter = if sessions { Filter::sessions(query.asked) } else { Filter::kernel(query.asked) };
    let scan = Scan { query, hashes, files, filter, first_report };
    let units = Mutex::new(units(files, spans, found, first_report));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let workers: Vec<Worker> = thread::scope(|scope| {
        let handles: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| scan.work(&units, limit))).collect();
        // A panic of a thread is ours.
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let recorded = workers.iter().any(|worker| worker.recorded);
    let mut all = Vec::new();
    for worker in workers {
        let reports = found.files.iter_mut().skip(first_report);
        for (report, (searched, damage, error)) in reports.zip(worker.reports) {
            report.searched += searched;
            report.damage.lines += damage.lines;
            report.damage.first = match (report.damage.first, damage.first) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            report.error = report.error.take().or(error);
        }
        all.push(worker.best);
    }
    (all, recorded)
}

/// The work: packed files first, for they take long and cannot be shared; plain files in pieces.
fn units(files: &[LogFile], spans: &[Span], found: &mut Found, first: usize) -> VecDeque<Unit> {
    let (mut packed, mut plain) = (Vec::new(), VecDeque::new());
    for (index, file) in files.iter().enumerate() {
        for &span in spans {
            if is_outside(files, index, span) {
                continue;
            }
            if file.packing != Packing::Plain {
                packed.push(Unit { file: index, from: 0, to: file.length, span });
                continue;
            }
            match pieces(file, span) {
                Ok(pieces) => plain.extend(pieces.into_iter().map(|(from, to)| Unit {
                    file: index,
                    from,
                    to,
                    span,
                })),
                Err(error) => {
                    if let Some(report) = found.files.get_mut(first + index) {
                        report.error = Some(error.to_string());
                    }
                }
            }
        }
    }
    packed.sort_by_key(|unit| std::cmp::Reverse(unit.to));
    packed.into_iter().chain(plain).collect()
}

/// Whether a file holds nothing of a span: it begins after it, or the next one of its series begins before it.
fn is_outside(files: &[LogFile], index: usize, span: Span) -> bool {
    let Some(file) = files.get(index) else { return true };
    let late = |to: Timestamp| to.checked_add(LATE).unwrap_or(Timestamp::MAX);
    let begins_after = file.first.zip(span.to).is_some_and(|(first, to)| first > late(to));
    let next = files.get(index + 1).filter(|next| {
        (next.content, &next.series) == (file.content, &file.series) && file.first.is_some()
    });
    let ends_before = next.and_then(|next| next.first).zip(span.from);
    begins_after || ends_before.is_some_and(|(next, from)| from.duration_since(next) > OUT_OF_ORDER)
}

fn pieces(file: &LogFile, span: Span) -> io::Result<Vec<(u64, u64)>> {
    let (mut from, end) = file.locate(span.from, span.to)?;
    let mut pieces = Vec::new();
    while from < end {
        let to = file.line_start(from + PIECE)?.min(end);
        pieces.push((from, to));
        from = to;
    }
    Ok(pieces)
}

impl Scan<'_> {
    fn work(&self, units: &Mutex<VecDeque<Unit>>, limit: usize) -> Worker {
        let reports = vec![Default::default(); self.files.len()];
        let mut worker =
            Worker { best: Best::new(limit), reports, buffer: Buffer::new(), recorded: false };
        loop {
            let unit = units.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(unit) = unit else { return worker };
            let Some(file) = self.files.get(unit.file) else { continue };
            let result = self.unit(file, unit, &mut worker);
            if let (Err(error), Some(report)) = (result, worker.reports.get_mut(unit.file)) {
                report.2 = Some(error.to_string());
            }
        }
    }

    fn unit(&self, file: &LogFile, unit: Unit, worker: &mut Worker) -> io::Result<()> {
        let Worker { best, reports, buffer, recorded } = worker;
        let Some((searched, damage, _)) = reports.get_mut(unit.file) else { return Ok(()) };
        let query = Query { span: unit.span, ..self.query.clone() };
        let mut at = unit.from;
        let mut behind = 0;
        let mut take = |block: Block<'_>| {
            let (lines, length) = match block {
                Block::Lines(lines) => (lines, lines.len()),
                Block::Tail(tail) => (tail, tail.len()),
                Block::TooLong(length) => (&[][..], length),
            };
            let enough = self.is_behind(file, unit, lines, &mut behind);
            if enough.is_continue() {
                if let Block::TooLong(_) = block {
                    note(damage, at);
                }
                let inside = |line| file.filed(line).is_some_and(|filed| unit.span.holds(filed));
                *recorded = *recorded || lines.split(|&byte| byte == b'\n').any(inside);
                self.block(file, unit.file, &query, lines, at, best, damage);
                *searched += length as u64;
            }
            at += length as u64;
            enough
        };
        if file.packing == Packing::Plain {
            buffer.each(&mut file.range(unit.from, unit.to), &mut take)
        } else {
            buffer.each(&mut *file.stream()?, &mut take)
        }
    }

    /// A packed file has no end to bisect to: stops when the span is over, and late records, too.
    fn is_behind(
        &self,
        file: &LogFile,
        unit: Unit,
        block: &[u8],
        behind: &mut u64,
    ) -> ControlFlow<()> {
        let Some(to) = unit.span.to.filter(|_| file.packing != Packing::Plain) else {
            return ControlFlow::Continue(());
        };
        let line = block.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let Some(filed) = file.filed(line).filter(|filed| *filed > to) else {
            return ControlFlow::Continue(());
        };
        *behind += block.len() as u64;
        let late = file.content == Content::Sessions && filed.duration_since(to) <= LATE;
        if late && *behind <= LATE_BYTES {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one block with its place, and what it adds to")]
    fn block(
        &self,
        file: &LogFile,
        index: usize,
        query: &Query,
        block: &[u8],
        at: u64,
        best: &mut Best,
        damage: &mut Damage,
    ) {
        if file.content != Content::Sessions {
            self.filter.each(block, |_, line| self.kernel_line(file, index, query, line, best));
            return;
        }
        check(block, at, damage);
        self.filter.each(block, |start, line| {
            // What is not even bracketed was counted.
            if !is_whole(line) {
                return;
            }
            let Ok(record) = serde_json::from_slice::<SessionRecord<'_>>(line) else {
                note(damage, at + start as u64);
                return;
            };
            if let Some(fit) = query.fit(&record) {
                best.add(fit, |fit| hit(fit, line, self.first_report + index, None));
            }
        });
    }

    fn kernel_line(
        &self,
        file: &LogFile,
        index: usize,
        query: &Query,
        line: &[u8],
        best: &mut Best,
    ) {
        let Some(kernel) = KernelLine::parse(line, file.content, self.hashes) else { return };
        if let Some(fit) = kernel.fit(query) {
            best.add(fit, |fit| hit(fit, line, self.first_report + index, Some(kernel)));
        }
    }
}

fn hit(fit: Fit, line: &[u8], file: usize, kernel: Option<KernelLine>) -> Hit {
    Hit { fit, line: String::from_utf8_lossy(line).into_owned(), file, kernel }
}

/// Counts lines that are no JSON objects: torn by a power cut, or of somebody else.
fn check(block: &[u8], at: u64, damage: &mut Damage) {
    let mut start = 0;
    for newline in memchr_iter(b'\n', block) {
        let line = block.get(start..newline).unwrap_or_default();
        if !is_whole(line) && !line.is_empty() {
            note(damage, at + start as u64);
        }
        start = newline + 1;
    }
    let tail = block.get(start..).unwrap_or_default();
    if !tail.is_empty() && !is_whole(tail) {
        note(damage, at + start as u64);
    }
}

fn is_whole(line: &[u8]) -> bool {
    line.first() == Some(&b'{') && line.trim_ascii_end().last() == Some(&b'}')
}

fn note(damage: &mut Damage, at: u64) {
    damage.lines += 1;
    damage.first = Some(damage.first.map_or(at, |first| first.min(at)));
}
