//! Ranks records that come from somewhere else than files: from a database that holds those of many machines.

use std::path::PathBuf;

use super::best::{Best, Hit};
use super::files::Content;
use super::query::Query;
use super::scan::{Damage, FileReport, Found};
use crate::session::SessionRecord;

/// Takes records in any order and keeps the best answers, as [`search`](super::search) does with those of files.
#[derive(Debug)]
pub struct Ranking<'a> {
    query: &'a Query,
    limit: usize,
    best: Best,
    report: FileReport,
}

impl<'a> Ranking<'a> {
    /// None yet. `limit` hits are kept; `source` is what reports call the place that the records come from.
    pub fn new(query: &'a Query, limit: usize, source: impl Into<PathBuf>) -> Self {
        let report = FileReport {
            path: source.into(),
            content: Content::Sessions,
            searched: 0,
            damage: Damage::default(),
            error: None,
        };
        Self { query, limit, best: Best::new(limit), report }
    }

    /// Takes a record as its line, without the newline. One that does not fit is passed over; what is no record counts as damage.
    pub fn line(&mut self, line: &[u8]) {
        let start = self.report.searched;
        self.report.searched += line.len() as u64 + 1;
        let Ok(record) = serde_json::from_slice::<SessionRecord<'_>>(line) else {
            self.report.damage.lines += 1;
            self.report.damage.first.get_or_insert(start);
            return;
        };
        if let Some(fit) = self.query.fit(&record) {
            let line = || String::from_utf8_lossy(line).into_owned();
            self.best.add(fit, |fit| Hit { fit, line: line(), file: 0, kernel: None });
        }
    }

    /// The answer.
    pub fn found(self) -> Found {
        let (hits, matched) = Best::merged(vec![self.best], self.limit);
        Found { hits, matched, files: vec![self.report], ..Found::default() }
    }
}
