//! The capture thread against the real kernel log: sorted, complete, once, and by nobody else's hand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use anetcon_core::prefix::Kind;
use anetcon_records::device::Device;
use anetcon_records::{Counters, Event, system};
use anetcon_testkit::netns::wait_until;
use jiff::{SignedDuration, Timestamp};
use support::*;

#[test]
fn lines_land_in_their_files_in_the_agreed_shape() {
    let (talker, folder) = (Talker::new("rec-shape"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    let (capture, _events) = start(config.clone());
    let before = Timestamp::now();
    talker.connect(10..13);
    talker.connect(30_000..30_002);
    wait_for_lines(&config.directory, "anetcon.", 5);
    assert_once(&[config.path(Kind::Float)], 10..13);
    assert_once(&[config.path(Kind::Nat)], 30_000..30_002);

    let line = &lines(&config.path(Kind::Float))[0];
    let (time, rest) = line.split_once(' ').unwrap();
    assert_eq!((time.len(), &time[26..]), ("2026-11-23T16:15:10.411671+00:00".len(), "+00:00"));
    // The clocks of the kernel log and of the wall were never compared before on this machine.
    let off = time.parse::<Timestamp>().unwrap().duration_since(before).abs();
    assert!(off < SignedDuration::from_secs(5), "{line}");
    let rest = rest.strip_prefix("host kernel: [").unwrap();
    let (uptime, message) = rest.split_once("] ").unwrap();
    assert_eq!(uptime.split_once('.').unwrap().1.len(), 6, "{line}");
    assert!(message.starts_with(&format!("{}[D][0123abcd] IN= OUT=lo ", talker.prefixes.base)));

    assert_eq!(mode(&config.path(Kind::Float)), 0o640);
    assert_eq!(mode(&config.path(Kind::Nat)), 0o640);
    assert_eq!(mode(&config.directory), 0o750);
    let folder_group = fs::metadata(&config.directory).unwrap().gid();
    assert_eq!(fs::metadata(config.path(Kind::Nat)).unwrap().gid(), folder_group);
    let counters = capture.stop().unwrap();
    assert_eq!((counters.float, counters.nat, counters.unwritten), (3, 2, 0));
    assert!(counters.last_line.is_some() && counters.error.is_none(), "{counters:?}");
}

#[test]
fn nobody_but_the_kernel_writes_a_line() {
    let (talker, folder) = (Talker::new("rec-forge"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    let (_capture, _events) = start(config.clone());
    for start in ["<4>", "<0>", "", "<12><4>", "<4>x\n<4>"] {
        write_to_kmsg(&format!("{start}{}", talker.forged(1)));
    }
    talker.connect(2..3);
    wait_for_lines(&config.directory, "anetcon.", 1);
    assert_once(&files(&config.directory, "anetcon."), 2..3);
}

#[test]
fn a_crashing_process_cannot_pass_its_name_off_as_a_prefix() {
    let (talker, folder) = (Talker::new("rec-crash"), tempfile::tempdir().unwrap());
    let name = talker.prefixes.stem(Kind::Float);
    let config = talker.config(folder.path());
    let (_capture, _events) = start(config.clone());
    crash_named(folder.path(), &name);
    talker.connect(2..3);
    wait_for_lines(&config.directory, "anetcon.", 1);
    assert_once(&files(&config.directory, "anetcon."), 2..3);
}

#[test]
fn a_first_start_begins_with_the_oldest_record_in_the_ring() {
    let (talker, folder) = (Talker::new("rec-first"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    talker.connect(1..4);
    let (_capture, _events) = start(config.clone());
    talker.connect(4..6);
    wait_for_lines(&config.directory, "anetcon.", 5);
    assert_once(&files(&config.directory, "anetcon."), 1..6);
}

#[test]
fn another_configuration_is_taken_over_without_a_gap() {
    let (talker, folder) = (Talker::new("rec-reload"), tempfile::tempdir().unwrap());
    let old = talker.config(folder.path());
    let (capture, _events) = start(old.clone());
    talker.connect(1..3);
    wait_for_lines(&old.directory, "anetcon.", 2);
    let mut new = old.clone();
    new.directory = folder.path().join("elsewhere");
    new.prefixes.base = format!("{}NEW", old.prefixes.base);
    capture.reconfigure(new.clone());
    // Rules with the old prefix are still in force for a moment.
    talker.connect(3..5);
    talker.set_prefix(&new.prefixes.base);
    talker.connect(5..7);
    wait_until("both files hold everything", DEADLINE, || {
        let both = [old.path(Kind::Float), new.path(Kind::Float)];
        ports(&both) == once(1..7)
    });
    let elsewhere = ports(&[new.path(Kind::Float)]);
    assert!(elsewhere.contains_key(&5) && elsewhere.contains_key(&6), "{elsewhere:?}");
}

#[test]
fn records_that_were_overwritten_while_nobody_read_are_counted() {
    let (talker, folder) = (Talker::new("rec-lost"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    fs::create_dir_all(&config.state_directory).unwrap();
    // Handled up to the first record of this boot: all between it and the ring's oldest record is gone.
    let oldest = || {
        let mut reader = anetcon_records::reader::Reader::open(&Device::default(), None).unwrap();
        loop {
            if let anetcon_records::reader::Next::Record { record, .. } =
                reader.read_record().unwrap()
            {
                return record.sequence;
            }
        }
    };
    let position = anetcon_records::position::Position {
        boot_id: system::boot_id().unwrap(),
        sequence: 0,
        ..Default::default()
    };
    position.save(&config.state_directory).unwrap();
    let least = oldest().saturating_sub(1);
    let (capture, events) = start(config.clone());
    talker.connect(1..2);
    wait_for_lines(&config.directory, "anetcon.", 1);
    let Counters { lost, .. } = capture.stop().unwrap();
    assert!((least..=oldest()).contains(&lost), "{lost} lost, at least {least}");
    let told: Vec<_> = events
        .try_iter()
        .filter_map(|event| match event {
            Event::Lost { records, before_start, .. } => Some((records, before_start)),
            _ => None,
        })
        .collect();
    assert_eq!(told.iter().map(|(records, _)| records).sum::<u64>(), lost);
    assert!(told.first().is_none_or(|(_, before_start)| *before_start), "{told:?}");
}
