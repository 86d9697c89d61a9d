//! How many connections were put on record in a span of time, in one namespace or in all.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use jiff::Timestamp;

use super::blocks::{Block, Buffer};
use super::files::{Content, LogFile, OUT_OF_ORDER, Packing, family};
use crate::session::SessionRecord;
use crate::session::record::RecordAction;

/// Counts openings; what was found open, and ends, are not new connections.
///
/// # Errors
/// The folder cannot be read. A file that cannot be read is passed over.
pub(crate) fn count(
    live: &Path,
    namespace: Option<&str>,
    (from, to): (Timestamp, Timestamp),
) -> io::Result<u64> {
    let ours = family(live)?.into_iter().filter(|(_, series)| series.is_empty());
    let mut files: Vec<LogFile> = ours
        .filter_map(|(path, series)| LogFile::open(path, Content::Sessions, series).ok())
        .collect();
    files.sort_by_key(|file| file.first);
    let mut buffer = Buffer::new();
    let mut sum = 0;
    for (index, file) in files.iter().enumerate() {
        let next = files.get(index + 1).and_then(|next| next.first);
        let over = next.is_some_and(|next| from.duration_since(next) > OUT_OF_ORDER);
        let later = file.first.is_none_or(|first| first.duration_since(to) > OUT_OF_ORDER);
        if over || later {
            continue;
        }
        let mut take = |block: Block<'_>| {
            if let Block::Lines(lines) = block {
                sum += openings(lines, namespace, (from, to));
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
    Ok(sum)
}

fn openings(lines: &[u8], namespace: Option<&str>, (from, to): (Timestamp, Timestamp)) -> u64 {
    let fits = |line: &&[u8]| {
        let Ok(record) = serde_json::from_slice::<SessionRecord<'_>>(line) else { return false };
        let opened = !matches!(record.event.action, RecordAction::Seen | RecordAction::End);
        // As exact as records are.
        let [from, at, to] = [from, record.timestamp.0, to].map(Timestamp::as_microsecond);
        let inside = (from..=to).contains(&at);
        let here = namespace.is_none_or(|namespace| record.anetcon.namespace == namespace);
        opened && inside && here
    };
    lines.split(|&byte| byte == b'\n').filter(fits).count() as u64
}
