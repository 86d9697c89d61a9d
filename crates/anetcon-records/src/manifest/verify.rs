//! Whether the files that are there are those that were listed.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::chain::{Chain, Fault};
use super::digest::{Digested, digest};
use super::entry::{Entry, Hash};
use crate::search::files::{Content, family};

/// What became of a listed file, or of one that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is as it was listed.
    Intact,
    /// It begins or ends like a file that was listed, and is not the same any more.
    Altered,
    /// It is gone although older ones are there.
    Missing,
    /// It is gone, and so is everything older: rotation's own doing.
    Expired,
    /// It was never listed.
    Unlisted,
    /// It cannot be read: why.
    Unreadable(String),
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it is; a name only, if it is gone.
    pub file: PathBuf,
    /// What is listed of it.
    pub entry: Option<Entry>,
    /// What became of it.
    pub state: State,
}

/// What a verification gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What is wrong with the chain itself.
    pub faults: Vec<Fault>,
    /// The hash of its last entry.
    pub head: Hash,
    /// A head that was kept elsewhere is no entry's: the chain's end was cut off, or it was written anew.
    pub head_unknown: bool,
    /// Every file, as the chain lists them, then the others.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing was altered, removed or added.
    pub fn is_intact(&self) -> bool {
        let fine = |finding: &Finding| matches!(finding.state, State::Intact | State::Expired);
        self.faults.is_empty() && !self.head_unknown && self.findings.iter().all(fine)
    }
}

/// A file that is there.
struct Present {
    path: PathBuf,
    log: String,
    digested: Result<Digested, String>,
}

/// Compares what was rotated away from these live files with the chain. `kept` is a head that was noted elsewhere.
///
/// # Errors
/// The chain or a folder cannot be read.
pub fn verify(chain: &Path, logs: &[(PathBuf, Content)], kept: Option<Hash>) -> io::Result<Report> {
    let bytes = Chain::read(chain)?;
    let present = present(logs)?;
    let mut by_hash: HashMap<Hash, &Present> = HashMap::new();
    for file in &present {
        if let Ok(digested) = &file.digested {
            by_hash.insert(digested.sha256, file);
        }
    }
    let mut told: HashSet<&Path> = HashSet::new();
    let mut findings = Vec::new();
    for entry in &bytes.entries {
        let found = by_hash.get(&entry.sha256).map(|file| (*file, State::Intact));
        let found = found.or_else(|| {
            let altered = present.iter().find(|file| {
                !told.contains(file.path.as_path()) && is_altered(file, entry, &bytes.entries)
            });
            altered.map(|file| (file, unlike(file)))
        });
        let (file, state) = match found {
            Some((file, state)) => {
                told.insert(&file.path);
                (file.path.clone(), state)
            }
            None => (PathBuf::from(&entry.file), gone(entry, &present)),
        };
        findings.push(Finding { file, entry: Some(entry.clone()), state });
    }
    let others = present.iter().filter(|file| !told.contains(file.path.as_path()));
    findings.extend(others.filter(|file| !is_empty(file)).map(|file| Finding {
        file: file.path.clone(),
        entry: None,
        state: match &file.digested {
            Ok(_) => State::Unlisted,
            Err(error) => State::Unreadable(error.clone()),
        },
    }));
    let Chain { entries, faults, head } = bytes;
    let head_unknown = kept
        .is_some_and(|kept| kept != head && !entries.iter().any(|entry| entry.previous == kept));
    Ok(Report { faults, head, head_unknown, findings })
}

fn present(logs: &[(PathBuf, Content)]) -> io::Result<Vec<Present>> {
    let mut present = Vec::new();
    for (live, content) in logs {
        let log = live.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (path, series) in family(live)? {
            if path != *live && series.is_empty() {
                let digested = digest(&path, *content).map_err(|error| error.to_string());
                present.push(Present { path, log: log.clone(), digested });
            }
        }
    }
    Ok(present)
}

fn is_empty(file: &Present) -> bool {
    file.digested.as_ref().is_ok_and(|digested| digested.bytes == 0)
}

/// Whether a file that is no longer what it was is this entry's: it has its name but for what packing adds, or begins
/// or ends when that did; and it is not another entry's.
fn is_altered(file: &Present, entry: &Entry, entries: &[Entry]) -> bool {
    let name = file.path.file_name().unwrap_or_default().to_string_lossy();
    let same_name = name
        .strip_prefix(&entry.file)
        .is_some_and(|rest| matches!(rest, "" | ".gz" | ".zst" | ".xz" | ".bz2"));
    match &file.digested {
        Err(_) => file.log == entry.log && same_name,
        Ok(digested) => {
            let known = entries.iter().any(|entry| entry.sha256 == digested.sha256);
            let times = |time: Option<Timestamp>| time.map(|time| time.as_microsecond());
            let same = |one, other: Option<crate::session::record::Micros>| {
                times(one).is_some() && times(one) == times(other.map(|micros| micros.0))
            };
            let alike = same(digested.first, entry.first) || same(digested.last, entry.last);
            !known && file.log == entry.log && (alike || same_name)
        }
    }
}

fn unlike(file: &Present) -> State {
    match &file.digested {
        Ok(_) => State::Altered,
        Err(error) => State::Unreadable(error.clone()),
    }
}

/// What is older than all that is there was removed by rotation, which begins with the oldest.
fn gone(entry: &Entry, present: &[Present]) -> State {
    let of_log = present.iter().filter(|file| file.log == entry.log);
    let oldest = of_log.filter_map(|file| file.digested.as_ref().ok()?.first).min();
    let last = entry.last.or(entry.first).map(|micros| micros.0);
    match (last, oldest) {
        (Some(last), Some(oldest)) if last <= oldest => State::Expired,
        _ => State::Missing,
    }
}
