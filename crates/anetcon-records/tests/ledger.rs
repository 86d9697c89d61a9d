//! The ledger says what happened, also after a kill, a rotation and a torn line.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]

mod sessions;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anetcon_core::ledger::{Cause, Channel, Entry, Gap, Span, Verdict};
use anetcon_records::ledger::{Facts, Ledger, LedgerConfig, Place, read};
use anetcon_records::session::SessionLog;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sessions::{DEADLINE, Folder, new_at, one_of_many, origin, records};

fn config(folder: &Path, run: &str) -> LedgerConfig {
    LedgerConfig::new(folder.to_owned(), "boot".to_owned(), run.to_owned())
}

fn start(folder: &Path, run: &str) -> Ledger {
    Ledger::open(config(folder, run), |_| ()).unwrap()
}

fn router() -> Place {
    Place {
        namespace: Some(sessions::ROUTER.to_owned()),
        cookie: Some("1003".to_owned()),
        file: None,
    }
}

fn missing(channel: Channel) -> Facts {
    Facts { channels: vec![channel], ..Facts::default() }
}

fn ago(ms: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_millis(ms)
}

fn lines(folder: &Path) -> Vec<Value> {
    records(&folder.join("ledger.ndjson"))
}

fn verdict(folder: &Path) -> Verdict {
    read(folder, Span::default()).unwrap().account.verdict(Span::default(), |_| true)
}

#[test]
fn a_gap_is_one_line_when_it_begins_and_one_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = start(folder.path(), "a");
    let (from, to) = (ago(500), ago(100));
    ledger.begin(router(), Cause::Wiped, from, missing(Channel::KernelLog));
    ledger.begin(router(), Cause::Wiped, to, missing(Channel::KernelLog));
    let facts = Facts { authors: vec![("nft".to_owned(), 1)], ..missing(Channel::KernelLog) };
    ledger.end(router(), Cause::Wiped, to, facts);
    ledger.end(router(), Cause::Wiped, to, missing(Channel::KernelLog));
    ledger.close();
    assert_eq!(ledger.status().begun, [(Cause::Wiped, 1)].into(), "begin and end are one gap");
    let lines = lines(folder.path());
    let marks: Vec<_> = lines.iter().map(|line| line["mark"].as_str().unwrap()).collect();
    assert_eq!(marks, ["start", "begin", "end"]);
    assert_eq!(lines[1]["gap"], lines[2]["gap"]);
    assert_eq!(lines[2]["from"], format!("{from:.6}"));
    assert_eq!(lines[2]["to"], format!("{to:.6}"));
    assert_eq!(lines[2]["culprits"], serde_json::json!([{"process": "nft", "tid": 1}]));
    assert_eq!(lines[2]["channels"], serde_json::json!(["kernel-log"]));
}

#[test]
fn what_a_killed_agent_left_open_is_ended_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = start(folder.path(), "a");
    ledger.begin(router(), Cause::Unreachable, ago(500), missing(Channel::KernelLog));
    ledger.close();
    // Nobody said that it ends.
    let died = read(folder.path(), Span::default()).unwrap().beat.unwrap().time;
    std::thread::sleep(std::time::Duration::from_millis(100));

    let ledger = start(folder.path(), "b");
    let back = Timestamp::now();
    ledger.came_up(router(), Channel::KernelLog, back, false);
    ledger.came_up(router(), Channel::Records, back, true);
    ledger.ready();
    ledger.close();
    let gaps = verdict(folder.path()).gaps;
    let told: Vec<_> =
        gaps.iter().map(|gap| (gap.entry.cause.unwrap(), &gap.entry.channels)).collect();
    let kernel = vec![Channel::KernelLog];
    assert_eq!(told, [(Cause::Unreachable, &kernel), (Cause::AgentDown, &kernel)]);
    let whole = |time: Timestamp| time.as_microsecond();
    assert_eq!(gaps[0].entry.to.map(whole), Some(whole(died)));
    assert_eq!(whole(gaps[1].from), whole(died));
    assert_eq!(gaps[1].entry.to.map(whole), Some(whole(back)));
}

#[test]
fn an_agent_that_said_that_it_ends_was_down_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = start(folder.path(), "a");
    let before = Timestamp::now();
    ledger.stopping();
    std::thread::sleep(std::time::Duration::from_millis(100));
    ledger.close();
    assert_eq!(
        read(folder.path(), Span::default()).unwrap().account.open().count(),
        1,
        "it is still down"
    );
    for run in ["b", "c"] {
        // The first one is killed before it has looked at a namespace.
        let ledger = start(folder.path(), run);
        if run == "c" {
            ledger.came_up(router(), Channel::KernelLog, Timestamp::now(), false);
            ledger.ready();
        }
        ledger.close();
    }
    let gaps = verdict(folder.path()).gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let late = gaps[0].from.duration_since(before);
    assert!(late < SignedDuration::from_millis(50), "{late}");
}

#[test]
fn the_first_start_ever_knows_nothing_of_what_was_before() {
    let folder = tempfile::tempdir().unwrap();
    let before = Timestamp::now();
    let ledger = start(folder.path(), "a");
    ledger.came_up(router(), Channel::KernelLog, Timestamp::now(), true);
    ledger.ready();
    ledger.close();
    let read = read(folder.path(), Span::default()).unwrap();
    let span = Span { from: Some(before - SignedDuration::from_secs(60)), to: Some(before) };
    let verdict = read.account.verdict(span, |_| true);
    assert!(!verdict.complete && verdict.gaps.is_empty() && verdict.unknown_before.is_some());
}

#[test]
fn a_namespace_that_goes_ends_its_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = start(folder.path(), "a");
    ledger.begin(router(), Cause::Unreachable, ago(5), missing(Channel::KernelLog));
    ledger.vanished(sessions::ROUTER);
    ledger.close();
    let read = read(folder.path(), Span::default()).unwrap();
    assert_eq!(read.account.open().count(), 0);
    let last = lines(folder.path()).pop().unwrap();
    assert_eq!(last["mark"], "end");
    assert!(last["reasons"][0].as_str().unwrap().contains("gone"), "{last}");
}

#[test]
fn what_is_open_is_in_the_new_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let ledger =
        Ledger::open(LedgerConfig { largest: 2000, ..config(folder.path(), "a") }, |_| ()).unwrap();
    ledger.begin(router(), Cause::Unreachable, ago(500), missing(Channel::KernelLog));
    for _ in 0..50 {
        let before = lines_written(folder.path());
        ledger.gap(router(), Cause::Wiped, ago(2), ago(1), missing(Channel::KernelLog));
        let until = Instant::now() + DEADLINE;
        while lines_written(folder.path()) == before {
            assert!(Instant::now() < until);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    ledger.close();
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert!(files > 3, "{files}");
    assert!(
        fs::read_to_string(folder.path().join("ledger.ndjson")).unwrap().contains("unreachable")
    );
    let read = read(folder.path(), Span::default()).unwrap();
    assert_eq!(read.account.open().count(), 1);
    assert_eq!(read.account.verdict(Span::default(), |_| true).gaps.len(), 51);
}

/// Years of lines cost a start nothing: of the old files it opens the newest.
#[test]
fn a_start_reads_no_file_but_the_last_two() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = start(folder.path(), "a");
    ledger.begin(router(), Cause::Unreachable, ago(500), missing(Channel::KernelLog));
    ledger.close();
    // As if the agent had died after it made a file and before it wrote what was open.
    let newest = folder.path().join("ledger.ndjson.20260102T000000.000000Z");
    fs::rename(folder.path().join("ledger.ndjson"), newest).unwrap();
    // Whoever opened this one would wait for ever.
    let oldest = folder.path().join("ledger.ndjson.20260101T000000.000000Z");
    nix::unistd::mkfifo(&oldest, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let path = folder.path().to_owned();
    let (done, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        start(&path, "b").close();
        done.send(()).unwrap();
    });
    started.recv_timeout(DEADLINE).expect("the start waits for nothing");
    let ended = lines(folder.path()).into_iter().find(|line| line["cause"] == "unreachable");
    assert_eq!(ended.unwrap()["mark"], "end");
}

fn lines_written(folder: &Path) -> usize {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let ledgers = files.filter(|path| path.to_string_lossy().contains("ledger.ndjson"));
    // One that is rotated just now has another name.
    ledgers.map(|path| fs::read_to_string(path).unwrap_or_default().lines().count()).sum()
}

#[test]
fn a_torn_line_is_named_and_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path(), "a").close();
    let live = folder.path().join("ledger.ndjson");
    OpenOptions::new().append(true).open(&live).unwrap().write_all(b"{\"schema\":1,\"@ti").unwrap();
    let ledger = start(folder.path(), "b");
    ledger.ready();
    ledger.close();
    let read = read(folder.path(), Span::default()).unwrap();
    assert_eq!(read.damaged, [(live, 1)]);
    let text = fs::read_to_string(folder.path().join("ledger.ndjson")).unwrap();
    assert_eq!(text.matches("\"mark\":\"start\"").count(), 2);
}

#[test]
fn connections_of_the_time_are_counted_in_the_records() {
    let folder = Folder::new();
    let log = SessionLog::start(folder.config(), |_| ()).unwrap();
    let (from, to) = (ago(2000), ago(1000));
    let after = |ms: i64| from + SignedDuration::from_millis(ms);
    let times = [-5, 0, 1, 500, 1000, 1005].map(after);
    log.push(&origin(), times.into_iter().zip(0..).map(|(at, n)| new_at(one_of_many(n), at)));
    log.stop().unwrap();

    let state = tempfile::tempdir().unwrap();
    let config = LedgerConfig { sessions: Some(folder.live()), ..config(state.path(), "a") };
    let ledger = Ledger::open(config, |_| ()).unwrap();
    let facts = Facts { channels: vec![Channel::KernelLog, Channel::Records], ..Facts::default() };
    let other = Place { namespace: Some("other".to_owned()), ..router() };
    // Each by itself, though they are counted together.
    let cases = [
        (router(), (from, to), 4),
        (router(), (after(1), after(2)), 1),
        (other, (from, to), 0),
        (Place::default(), (after(500), after(2000)), 3),
    ];
    for (place, (from, to), _) in &cases {
        ledger.gap(place.clone(), Cause::Wiped, *from, *to, facts.clone());
    }
    let until = Instant::now() + DEADLINE;
    let counted =
        |gaps: Vec<Gap>| gaps.iter().filter(|gap| gap.entry.connections.is_some()).count();
    while counted(verdict(state.path()).gaps) < cases.len() {
        assert!(Instant::now() < until, "{:?}", lines(state.path()));
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    ledger.close();
    let gaps = verdict(state.path()).gaps;
    for (place, (from, _), connections) in cases {
        // As exact as the file is.
        let from = from.as_microsecond();
        let is_it = |entry: &Entry| {
            entry.namespace == place.namespace
                && entry.from.is_some_and(|at| at.as_microsecond() == from)
        };
        let gap = gaps.iter().find(|gap| is_it(&gap.entry)).unwrap();
        assert_eq!(gap.entry.connections, Some(connections), "{place:?} {from}");
        // Where none was put on record, nobody can say that there was none.
        let missing = if connections > 0 { &facts.channels[..1] } else { &facts.channels };
        assert_eq!(gap.entry.channels, missing, "{place:?} {from}");
    }
}
