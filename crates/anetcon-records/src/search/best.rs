//! The best answers so far, in memory of one size.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use super::kernel::KernelLine;
use super::query::Fit;
use crate::session::SessionRecord;

/// A line that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// How well.
    pub fit: Fit,
    /// The line as it stands in the file, without its newline.
    pub line: String,
    /// Which of [`Found::files`](super::Found::files) it stands in.
    pub file: usize,
    /// For a line of the kernel log, what it tells.
    pub kernel: Option<KernelLine>,
}

/// A hit as what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// A session record.
    Session(Box<SessionRecord<'a>>),
    /// A line of the kernel log.
    Kernel(&'a KernelLine),
}

impl Hit {
    /// What the line says. `None` never comes for a hit that a search gave: it was parsed then.
    pub fn answer(&self) -> Option<Answer<'_>> {
        match &self.kernel {
            Some(kernel) => Some(Answer::Kernel(kernel)),
            None => serde_json::from_str(&self.line).ok().map(|r| Answer::Session(Box::new(r))),
        }
    }

    /// The line as JSON with `anetcon.rank` added: 1 is the best. A kernel log line becomes an object that holds it.
    pub fn ranked(&self, rank: u64) -> String {
        const PLACE: &str = "\"anetcon\":{";
        if let Some(kernel) = &self.kernel {
            return kernel.to_json(&self.line, rank).to_string();
        }
        // As we write it, the record stays as it is, byte for byte; a quote inside a string has a backslash before it.
        if let Some((before, after)) = self.line.split_once(PLACE) {
            return format!("{before}{PLACE}\"rank\":{rank},{after}");
        }
        let mut record: Value = serde_json::from_str(&self.line).unwrap_or_default();
        if let Some(anetcon) = record.get_mut("anetcon").and_then(Value::as_object_mut) {
            anetcon.insert("rank".into(), rank.into());
        }
        record.to_string()
    }

    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.line.hash(&mut hasher);
        hasher.finish()
    }
}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.fit
            .cmp(&other.fit)
            .then_with(|| self.line.cmp(&other.line))
            .then(self.file.cmp(&other.file))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Keeps the best, counts all. A line that comes again (sent twice over the network) is neither kept nor counted twice.
#[derive(Debug)]
pub(crate) struct Best {
    /// The worst is on top.
    kept: BinaryHeap<Hit>,
    /// [`Hit::key`] of what is kept.
    keys: HashSet<u64>,
    limit: usize,
    pub(crate) matched: u64,
}

impl Best {
    pub(crate) fn new(limit: usize) -> Self {
        Self { kept: BinaryHeap::new(), keys: HashSet::new(), limit: limit.max(1), matched: 0 }
    }

    /// Counts a hit; the line is copied only if it is good enough.
    pub(crate) fn add(&mut self, fit: Fit, hit: impl FnOnce(Fit) -> Hit) {
        let full = self.kept.len() >= self.limit;
        if full && self.kept.peek().is_some_and(|worst| worst.fit < fit) {
            self.matched += 1;
            return;
        }
        let hit = hit(fit);
        if !self.keys.insert(hit.key()) {
            return;
        }
        self.matched += 1;
        self.kept.push(hit);
        if full && let Some(worst) = self.kept.pop() {
            self.keys.remove(&worst.key());
        }
    }

    /// All of the best, the best first. A line that stands in two files (a rotated one and its packed copy) comes once.
    pub(crate) fn merged(all: Vec<Self>, limit: usize) -> (Vec<Hit>, u64) {
        let mut matched = all.iter().map(|one| one.matched).sum();
        let mut hits: Vec<Hit> = all.into_iter().flat_map(|one| one.kept).collect();
        hits.sort();
        let before = hits.len();
        let mut seen = HashSet::new();
        hits.retain(|hit| seen.insert(hit.key()));
        matched -= (before - hits.len()) as u64;
        hits.truncate(limit.max(1));
        (hits, matched)
    }
}
