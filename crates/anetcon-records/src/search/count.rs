//! How many connections were put on record in spans of time, each in one namespace or in all.

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use jiff::Timestamp;

use super::blocks::{Block, Buffer};
use super::files::{Content, LogFile, OUT_OF_ORDER, Packing, family};
use crate::session::SessionRecord;
use crate::session::record::RecordAction;

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// `None`: all of them.
    pub(crate) namespace: Option<&'a str>,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// Counts openings; what was found open, and ends, are not new connections. The numbers are in the order of what is wanted, and come
/// from one look into the files: whoever wipes a thousand namespaces makes a thousand spans of the same second.
///
/// # Errors
/// The folder cannot be read. A file that cannot be read is passed over.
pub(crate) fn count(live: &Path, wanted: &[Wanted<'_>]) -> io::Result<Vec<u64>> {
    let mut counts = Counts::of(wanted);
    let from = wanted.iter().map(|wanted| wanted.from).min();
    let to = wanted.iter().map(|wanted| wanted.to).max();
    let Some((from, to)) = from.zip(to) else { return Ok(counts.sums) };
    let ours = family(live)?.into_iter().filter(|(_, series)| series.is_empty());
    let mut files: Vec<LogFile> = ours
        .filter_map(|(path, series)| LogFile::open(path, Content::Sessions, series).ok())
        .collect();
    files.sort_by_key(|file| file.first);
    let mut buffer = Buffer::new();
    for (index, file) in files.iter().enumerate() {
        let next = files.get(index + 1).and_then(|next| next.first);
        let over = next.is_some_and(|next| from.duration_since(next) > OUT_OF_ORDER);
        let later = file.first.is_none_or(|first| first.duration_since(to) > OUT_OF_ORDER);
        if over || later {
            continue;
        }
        let mut take = |block: Block<'_>| {
            if let Block::Lines(lines) = block {
                lines.split(|&byte| byte == b'\n').for_each(|line| counts.take(line));
            }
            ControlFlow::Continue(())
        };
        // What a damaged file holds before the damage counts.
        let _ = match file.packing {
            Packing::Plain => file
                .locate(Some(from), Some(to))
                .and_then(|(start, end)| buffer.each(&mut file.range(start, end), &mut take)),
            _ => file.stream().and_then(|mut stream| buffer.each(&mut *stream, &mut take)),
        };
    }
    Ok(counts.sums)
}

/// The counts so far.
struct Counts<'a> {
    wanted: &'a [Wanted<'a>],
    /// Where in `wanted` a namespace stands.
    places: HashMap<Option<&'a str>, Vec<usize>>,
    sums: Vec<u64>,
}

impl<'a> Counts<'a> {
    fn of(wanted: &'a [Wanted<'a>]) -> Self {
        let mut places: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, wanted) in wanted.iter().enumerate() {
            places.entry(wanted.namespace).or_default().push(place);
        }
        Self { wanted, places, sums: vec![0; wanted.len()] }
    }

    fn take(&mut self, line: &[u8]) {
        let Ok(record) = serde_json::from_slice::<SessionRecord<'_>>(line) else { return };
        if matches!(record.event.action, RecordAction::Seen | RecordAction::End) {
            return;
        }
        let namespaces = [None, Some(&*record.anetcon.namespace)];
        for place in namespaces.iter().filter_map(|name| self.places.get(name)).flatten() {
            let inside = self.wanted.get(*place).is_some_and(|wanted| {
                // As exact as records are.
                let [from, at, to] =
                    [wanted.from, record.timestamp.0, wanted.to].map(Timestamp::as_microsecond);
                (from..=to).contains(&at)
            });
            if inside && let Some(sum) = self.sums.get_mut(*place) {
                *sum += 1;
            }
        }
    }
}
