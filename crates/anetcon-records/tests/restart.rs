//! Stops, kills and other boots: no line in the ring is missed, none is written twice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]
#![allow(clippy::disallowed_methods, reason = "a test starts itself once more to kill it")]

mod support;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::{slice, thread};

use anetcon_core::prefix::Kind;
use anetcon_records::position::FILE_NAME;
use anetcon_records::{CaptureConfig, Event};
use anetcon_testkit::netns::wait_until;
use support::*;

/// Set in the environment of the child that is to be killed: `<prefix base>\n<folder>`.
const CHILD: &str = "ANETCON_RECORDS_CHILD";

#[test]
fn a_stop_and_a_start_neither_repeat_nor_miss() {
    let (talker, folder) = (Talker::new("rec-stop"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    for round in 0..4 {
        let (capture, _events) = start(config.clone());
        talker.connect(round * 10..round * 10 + 5);
        // Not waited for: the stop must read what is there.
        capture.stop().unwrap();
        assert_once(&files(&config.directory, "anetcon."), 0..round * 10 + 5);
        talker.connect(round * 10 + 5..round * 10 + 10);
    }
    start(config.clone()).0.stop().unwrap();
    assert_once(&files(&config.directory, "anetcon."), 0..40);
}

#[test]
fn a_stop_under_load_writes_what_was_logged_before_it() {
    let (talker, folder) = (Talker::new("rec-busy"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    let float = config.path(Kind::Float);
    let end = talker.connect_during(|newest| {
        for round in 1..=5 {
            let (capture, _events) = start(config.clone());
            let enough = 40 * round;
            wait_until("some more lines", DEADLINE, || lines(&float).len() > enough);
            let newest = newest.load(Ordering::Relaxed);
            capture.stop().unwrap();
            let written = ports(slice::from_ref(&float));
            let missing: Vec<_> = (1..=newest).filter(|port| !written.contains_key(port)).collect();
            assert!(missing.is_empty(), "logged before the stop, but not written: {missing:?}");
        }
    });
    start(config.clone()).0.stop().unwrap();
    assert_once(&[float], 1..end);
}

#[test]
fn a_kill_between_the_lines_and_the_position_repeats_nothing() {
    let (talker, folder) = (Talker::new("rec-between"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    let position = config.state_directory.join(FILE_NAME);
    let (capture, _events) = start(config.clone());
    talker.connect(1..4);
    talker.connect(30_001..30_004);
    wait_for_lines(&config.directory, "anetcon.", 6);
    capture.stop().unwrap();
    let saved = fs::read(&position).unwrap();

    let (capture, _events) = start(config.clone());
    talker.connect(4..7);
    talker.connect(30_004..30_007);
    capture.stop().unwrap();
    // As if the kill had come before the position was saved; one line was torn, and the other file was rotated.
    fs::write(&position, saved).unwrap();
    let float = config.path(Kind::Float);
    let text = fs::read_to_string(&float).unwrap();
    fs::write(&float, &text[..text.len() - 20]).unwrap();
    fs::rename(config.path(Kind::Nat), config.directory.join("anetcon.nat.log.1")).unwrap();

    let (capture, _events) = start(config.clone());
    talker.connect(7..8);
    talker.connect(30_007..30_008);
    let counters = capture.stop().unwrap();
    assert_eq!((counters.float, counters.nat, counters.repeated), (2, 1, 5), "{counters:?}");
    assert_once(&files(&config.directory, "anetcon.nat"), 30_001..30_008);
    // The torn line stands alone, and the same record stands whole below it (its wall time is measured anew).
    let lines = lines(&float);
    assert_eq!(lines.len(), 8, "{lines:?}");
    let record = |line: &str| line.split_once(" kernel: ").unwrap().1.to_owned();
    let (torn, whole) = (record(&lines[5]), record(&lines[6]));
    assert!(whole.starts_with(&torn) && torn.len() < whole.len(), "{lines:?}");
}

#[test]
fn a_lost_or_foreign_position_repeats_nothing() {
    let (talker, folder) = (Talker::new("rec-foreign"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    let position = config.state_directory.join(FILE_NAME);
    let (capture, _events) = start(config.clone());
    talker.connect(0..3);
    capture.stop().unwrap();
    let saved = fs::read_to_string(&position).unwrap();
    let boot_id = anetcon_records::system::boot_id().unwrap();
    let future = r#"{"boot_id":"BOOT","sequence":18446744073709551615,"lag_ns":0}"#;
    let cases = [
        ("lost", String::new()),
        ("garbage", "{".to_owned()),
        ("another boot", saved.replace(&boot_id, "another")),
        ("a restored machine", future.replace("BOOT", &boot_id)),
    ];
    for ((name, text), end) in cases.into_iter().zip(4..) {
        match name {
            "lost" => fs::remove_file(&position).unwrap(),
            _ => fs::write(&position, text).unwrap(),
        }
        talker.connect(end - 1..end);
        let (capture, events) = start(config.clone());
        let counters = capture.stop().unwrap();
        assert_eq!(counters.float, 1, "{name}: {counters:?}");
        assert_once(&[config.path(Kind::Float)], 0..end);
        let told = events.try_iter().any(|event| event == Event::PositionVoid);
        assert_eq!(told, name == "a restored machine", "{name}");
    }
}

#[test]
fn a_position_of_another_boot_says_nothing_about_this_one() {
    let (talker, folder) = (Talker::new("rec-boot"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    talker.connect(1..4);
    start(config.clone()).0.stop().unwrap();
    let position = config.state_directory.join(FILE_NAME);
    let saved = fs::read_to_string(&position).unwrap();
    let boot_id = anetcon_records::system::boot_id().unwrap();
    // Were it believed, these records would be taken for handled.
    fs::write(&position, saved.replace(&boot_id, "another")).unwrap();
    fs::remove_file(config.path(Kind::Float)).unwrap();
    let (capture, events) = start(config.clone());
    capture.stop().unwrap();
    assert_once(&[config.path(Kind::Float)], 1..4);
    assert!(
        !events.try_iter().any(|event| event == Event::PositionVoid),
        "a reboot is no surprise"
    );
}

#[test]
fn sigkill_under_load_neither_repeats_nor_misses() {
    let (talker, folder) = (Talker::new("rec-kill"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    let end = talker.connect_during(|_| {
        for kills in 1..=4 {
            let mut child = KilledOnDrop(child(&config));
            wait_until("the child wrote some lines", DEADLINE, || {
                lines(&config.path(Kind::Float)).len() > 60 * kills
            });
            child.0.kill().unwrap();
            child.0.wait().unwrap();
        }
    });
    let (capture, _events) = start(config.clone());
    capture.stop().unwrap();
    assert_once(&whole_lines(folder.path(), &config), 1..end);
}

/// The log without torn lines, as a copy.
fn whole_lines(folder: &Path, config: &CaptureConfig) -> [PathBuf; 1] {
    let lines = lines(&config.path(Kind::Float));
    let whole: Vec<_> = lines.into_iter().filter(|line| line.ends_with("URGP=0 ")).collect();
    let copy = folder.join("whole");
    fs::write(&copy, whole.join("\n")).unwrap();
    [copy]
}

struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn child(config: &CaptureConfig) -> Child {
    let folder = config.directory.parent().unwrap().display();
    Command::new("/proc/self/exe")
        .arg0("anetcon-records-child")
        .args(["--exact", "the_child_that_is_killed"])
        .env(CHILD, format!("{}\n{folder}", config.prefixes.base))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test by itself: the body of the child of [`sigkill_under_load_neither_repeats_nor_misses`].
#[test]
fn the_child_that_is_killed() {
    let Ok(arguments) = std::env::var(CHILD) else { return };
    let (base, folder) = arguments.split_once('\n').unwrap();
    let prefixes = anetcon_core::prefix::Prefixes {
        base: base.into(),
        dnat: "[D]".into(),
        other: "[X]".into(),
        namespace: anetcon_core::prefix::NamespaceTag::Hash,
    };
    let folder = Path::new(folder);
    let _capture = start(CaptureConfig {
        write: true,
        prefixes,
        directory: folder.join("log"),
        state_directory: folder.join("state"),
        hostname: "host".into(),
    });
    loop {
        thread::park();
    }
}
