//! A connection that is open is on record once, however long ago it was opened and wherever its record has gone since.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]

mod sessions;

use std::fs::{self, File};
use std::io;
use std::time::Instant;

use anetcon_core::session::{Action, Event, Flow};
use anetcon_records::session::{SessionCounters, SessionLog, SessionLogConfig};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sessions::*;

const NAME: &str = "anetcon.sessions.ndjson";

/// A log that starts without a look at the files.
fn forgetful(folder: &Folder) -> SessionLogConfig {
    SessionLogConfig { tail: 0, ..folder.config() }
}

/// Hands over what a dump found, and waits until all of it is settled.
fn dump(config: SessionLogConfig, events: Vec<(Event, Action)>) -> SessionCounters {
    let log = SessionLog::start(config, |_| ()).unwrap();
    log.push(&origin(), events);
    let until = Instant::now() + DEADLINE;
    while log.counters().waiting > 0 {
        assert!(Instant::now() < until, "{:?}", log.counters());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    log.stop().unwrap()
}

fn all(make: fn(Flow) -> (Event, Action), numbers: std::ops::Range<u32>) -> Vec<(Event, Action)> {
    numbers.map(one_of_many).map(make).collect()
}

fn pack(folder: &Folder, from: &str, to: &str) {
    let mut packed = GzEncoder::new(File::create(folder.path(to)).unwrap(), Compression::fast());
    io::copy(&mut File::open(folder.path(from)).unwrap(), &mut packed).unwrap();
    packed.finish().unwrap();
    fs::remove_file(folder.path(from)).unwrap();
}

/// Records 0 to 100 in a packed file, 100 to 200 in the one rotated last, 200 to 300 in the live one.
fn with_history() -> Folder {
    let folder = Folder::new();
    for (numbers, rotated) in [(0..100, "2"), (100..200, "1"), (200..300, "")] {
        folder.write(forgetful(&folder), all(new, numbers));
        if !rotated.is_empty() {
            fs::rename(folder.live(), folder.path(&format!("{NAME}.{rotated}"))).unwrap();
        }
    }
    pack(&folder, &format!("{NAME}.2"), &format!("{NAME}.2.gz"));
    folder
}

#[test]
fn what_is_not_remembered_is_looked_for_in_all_files() {
    let folder = with_history();
    let counters = dump(forgetful(&folder), all(seen, 0..310));
    assert_eq!((counters.remembered, counters.repeated, counters.written), (0, 300, 10));
    let written = records(&folder.live()).split_off(100);
    assert_eq!(
        numbers(&written),
        (1..=10).collect::<Vec<_>>(),
        "what is passed over leaves no hole"
    );
}

#[test]
fn a_log_that_ends_at_once_repeats_nothing_and_loses_nothing() {
    let folder = with_history();
    let log = SessionLog::start(forgetful(&folder), |_| ()).unwrap();
    log.push(&origin(), all(seen, 0..310));
    let counters = log.stop().unwrap();
    assert_eq!((counters.repeated, counters.written, counters.waiting), (300, 10, 0));
}

#[test]
fn what_was_found_once_is_remembered() {
    let folder = with_history();
    let log = SessionLog::start(forgetful(&folder), |_| ()).unwrap();
    log.push(&origin(), all(seen, 0..300));
    let (known, _) = log.hand_over().unwrap();
    assert_eq!(records(&folder.live()).len(), 100, "nothing new");
    fs::remove_file(folder.path(&format!("{NAME}.2.gz"))).unwrap();
    let config = SessionLogConfig { known: Some(known), ..forgetful(&folder) };
    assert_eq!(dump(config, all(seen, 0..300)).repeated, 300);
}

#[test]
fn a_connection_that_is_over_on_record_is_another_one() {
    let folder = Folder::new();
    let config = || SessionLogConfig { end: true, ..forgetful(&folder) };
    folder.write(config(), vec![new(nat(1)), new(nat(2)), destroyed(nat(1))]);
    let counters = dump(config(), vec![seen(nat(1)), seen(nat(2))]);
    assert_eq!((counters.repeated, counters.written), (1, 1));
}

#[test]
fn the_younger_file_knows_better() {
    let folder = Folder::new();
    let config = || SessionLogConfig { end: true, ..forgetful(&folder) };
    folder.write(config(), vec![new(nat(1))]);
    fs::rename(folder.live(), folder.path(&format!("{NAME}.1"))).unwrap();
    folder.write(config(), vec![destroyed(nat(1))]);
    assert_eq!(dump(config(), vec![seen(nat(1))]).written, 1);
}

#[test]
fn records_of_another_boot_or_namespace_are_of_others() {
    let folder = Folder::new();
    let mut other = forgetful(&folder);
    other.run.boot_id = "11111111-2222-3333-4444-555555555555".into();
    folder.write(other, vec![new(nat(1))]);
    let other = std::sync::Arc::new(anetcon_records::session::Origin::new(ROUTER, "beef"));
    let log = SessionLog::start(forgetful(&folder), |_| ()).unwrap();
    log.push(&other, [new(nat(2))]);
    log.stop().unwrap();
    let counters = dump(forgetful(&folder), vec![seen(nat(1)), seen(nat(2))]);
    assert_eq!((counters.repeated, counters.written), (0, 2));
}

#[test]
fn records_without_remote_ends_are_found() {
    let folder = Folder::new();
    let config = || {
        let mut config = forgetful(&folder);
        config.run.destination = false;
        config
    };
    folder.write(config(), vec![new(nat(1)), new(float(2)), new(hairpin(3))]);
    let counters =
        dump(config(), vec![seen(nat(1)), seen(float(2)), seen(hairpin(3)), seen(nat(4))]);
    assert_eq!((counters.repeated, counters.written), (3, 1));
}

#[test]
fn the_event_of_an_opening_is_written_instead_of_what_a_dump_found() {
    let folder = with_history();
    let before = Timestamp::now() - SignedDuration::from_secs(3);
    let counters = dump(forgetful(&folder), vec![seen(nat(1)), new_at(nat(1), before)]);
    assert_eq!((counters.repeated, counters.written), (1, 1));
    let last: Value = records(&folder.live()).pop().unwrap();
    assert_eq!(last["event"]["action"], "nat");
}

#[test]
fn two_dumps_give_one_record() {
    let folder = with_history();
    let counters = dump(forgetful(&folder), vec![seen(nat(1)), seen(nat(1))]);
    assert_eq!((counters.repeated, counters.written), (1, 1));
}

#[test]
fn a_file_that_is_damaged_is_read_as_far_as_it_goes() {
    let folder = with_history();
    let packed = folder.path(&format!("{NAME}.2.gz"));
    let bytes = fs::read(&packed).unwrap();
    fs::write(&packed, &bytes[..bytes.len() / 2]).unwrap();
    let counters = dump(forgetful(&folder), all(seen, 0..300));
    assert_eq!(counters.repeated + counters.written, 300);
    assert!((210..300).contains(&counters.repeated), "{counters:?}");
}
