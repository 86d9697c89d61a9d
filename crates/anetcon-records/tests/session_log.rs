//! The records' thread: nothing is lost that is not counted, whatever happens to the file, and nothing is written twice.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]

mod sessions;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anetcon_records::Event as Told;
use anetcon_records::counters::Part;
use anetcon_records::session::{SessionLog, SessionRecord};
use jiff::SignedDuration;
use serde_json::Value;
use sessions::*;

#[test]
fn a_rotation_under_load_keeps_every_record_once() {
    const RECORDS: u32 = 20_000;
    let (folder, origin) = (Folder::new(), origin());
    let log = folder.start();
    assert!(log.sync(DEADLINE), "the file is there");
    for number in 0..RECORDS {
        log.push(&origin, [new(one_of_many(number))]);
        if number % 4000 == 2000 {
            fs::rename(folder.live(), folder.path(&format!("rotated.{number}"))).unwrap();
            log.reopen();
            // There is nothing to rename again before.
            assert!(log.sync(DEADLINE));
        }
    }
    let counters = log.stop().unwrap();
    assert_eq!((counters.written, counters.lost(), counters.waiting), (RECORDS.into(), 0, 0));
    let files: Vec<_> =
        fs::read_dir(folder.folder.path()).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 6, "{files:?}");
    let all: Vec<Value> = files.iter().flat_map(|path| records(path)).collect();
    let expected: BTreeSet<u64> = (1..=RECORDS.into()).collect();
    assert_eq!(all.len(), expected.len());
    assert_eq!(numbers(&all).into_iter().collect::<BTreeSet<_>>(), expected);
    let bytes: u64 = files.iter().map(|path| path.metadata().unwrap().len()).sum();
    assert_eq!(counters.bytes, bytes);
}

#[test]
fn a_renamed_file_is_noticed_without_being_told() {
    let (folder, origin) = (Folder::new(), origin());
    let log = folder.start();
    log.push(&origin, [new(nat(1))]);
    assert!(log.sync(DEADLINE));
    fs::rename(folder.live(), folder.path("old")).unwrap();
    fs::write(folder.live(), "").unwrap();
    log.push(&origin, [new(nat(2))]);
    log.stop().unwrap();
    assert_eq!(numbers(&records(&folder.live())), [2]);
}

#[test]
fn a_record_is_in_the_file_within_a_second() {
    let (folder, origin) = (Folder::new(), origin());
    let log = folder.start();
    log.push(&origin, [new(nat(1))]);
    let until = Instant::now() + DEADLINE;
    while fs::read(folder.live()).unwrap_or_default().is_empty() {
        assert!(Instant::now() < until, "nobody asked for more, so it must come by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(fs::metadata(folder.live()).unwrap().permissions().mode() & 0o777, 0o640);
    log.stop().unwrap();
}

#[test]
fn the_file_is_there_before_the_first_record_and_after_a_rotation() {
    let folder = Folder::new();
    let log = folder.start();
    assert!(log.sync(DEADLINE));
    fs::rename(folder.live(), folder.path("old")).unwrap();
    log.reopen();
    assert!(log.sync(DEADLINE));
    assert!(folder.live().exists());
    log.stop().unwrap();
}

#[test]
fn a_full_disk_costs_numbered_records_and_ends_by_itself() {
    let (folder, origin) = (Folder::new(), origin());
    // full(4) is a disk without room.
    symlink("/dev/full", folder.live()).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let log = SessionLog::start(folder.config(), move |event| {
        listener.lock().unwrap().push(event);
    });
    let log = log.unwrap();
    for number in 0..10 {
        log.push(&origin, [new(one_of_many(number))]);
        assert!(log.sync(DEADLINE));
    }
    let counters = log.counters();
    assert_eq!((counters.written, counters.unwritten, counters.last_seq), (0, 10, 10));
    assert!(counters.error.unwrap().contains("No space left"), "{told:?}");

    fs::remove_file(folder.live()).unwrap();
    fs::write(folder.live(), "").unwrap();
    log.push(&origin, [new(one_of_many(10))]);
    let counters = log.stop().unwrap();
    assert_eq!((counters.written, counters.unwritten, counters.error), (1, 10, None));
    assert_eq!(numbers(&records(&folder.live())), [11], "the hole is what was lost");
    let told = told.lock().unwrap();
    assert!(matches!(told.first(), Some(Told::Failed { .. })), "{told:?}");
    assert!(told.contains(&Told::Recovered {
        part: Part::Sessions,
        error: match &told[0] {
            Told::Failed { error, .. } => error.clone(),
            other => panic!("{other}"),
        },
        unwritten: 10,
    }));
}

#[test]
fn a_folder_that_is_gone_is_made_again() {
    let (folder, origin) = (Folder::new(), origin());
    let mut config = folder.config();
    config.file = folder.path("deep/below/anetcon.sessions.ndjson");
    let file = config.file.clone();
    let log = SessionLog::start(config, |_| ()).unwrap();
    log.push(&origin, [new(nat(1))]);
    assert!(log.sync(DEADLINE));
    fs::remove_dir_all(folder.path("deep")).unwrap();
    log.push(&origin, [new(nat(2))]);
    let counters = log.stop().unwrap();
    assert_eq!((counters.written, counters.lost()), (2, 0));
    assert_eq!(numbers(&records(&file)), [2]);
}

#[test]
fn a_disk_that_does_not_answer_costs_only_what_finds_the_queue_full() {
    const QUEUE: usize = 1000;
    let (folder, origin) = (Folder::new(), origin());
    // A pipe that nobody reads holds 64 KiB, then writing waits.
    nix::unistd::mkfifo(&folder.live(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut config = folder.config();
    config.queue = QUEUE;
    let log = SessionLog::start(config, |_| ()).unwrap();
    let mut pushed = 0;
    while log.counters().dropped < 500 {
        assert!(pushed < 1_000_000, "the queue has no end");
        log.push(&origin, (0..100).map(|n| new(one_of_many(pushed + n))));
        pushed += 100;
    }
    assert!(!log.sync(Duration::from_millis(1)), "the disk does not answer");

    let reader = OpenOptions::new().read(true).open(folder.live()).unwrap();
    let lines = std::thread::spawn(move || {
        use std::io::BufRead as _;
        let lines = std::io::BufReader::new(reader).lines();
        lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()).collect::<Vec<_>>()
    });
    assert!(log.sync(DEADLINE));
    log.push(&origin, [new(one_of_many(pushed))]);
    let counters = log.stop().unwrap();
    assert_eq!(counters.written + counters.dropped, u64::from(pushed) + 1);
    let numbers = numbers(&lines.join().unwrap());
    assert_eq!(numbers.len() as u64, counters.written);
    assert_eq!(numbers.last(), Some(&counters.last_seq));
    assert_eq!(counters.last_seq, u64::from(pushed) + 1, "every record that is gone left a hole");
}

#[test]
fn a_torn_tail_is_sealed() {
    let folder = Folder::new();
    fs::write(folder.live(), "{\"@timestamp\":\"2026-11-2").unwrap();
    let log = folder.start();
    log.push(&origin(), [new(nat(1))]);
    log.stop().unwrap();
    let text = fs::read_to_string(folder.live()).unwrap();
    let (torn, rest) = text.split_once('\n').unwrap();
    assert_eq!(torn, "{\"@timestamp\":\"2026-11-2");
    assert!(serde_json::from_str::<SessionRecord<'_>>(rest).is_ok());
}

#[test]
fn a_dump_writes_only_what_is_not_on_record() {
    let (folder, origin) = (Folder::new(), origin());
    let log = folder.start();
    log.push(&origin, (0..100).map(|number| new(one_of_many(number))));
    log.push(&origin, (0..110).map(|number| seen(one_of_many(number))));
    log.push(&origin, (0..110).map(|number| seen(one_of_many(number))));
    let counters = log.stop().unwrap();
    assert_eq!((counters.written, counters.repeated), (110, 210));
    let records = records(&folder.live());
    assert_eq!(
        numbers(&records),
        (1..=110).collect::<Vec<_>>(),
        "what is passed over leaves no hole"
    );
}

#[test]
fn another_start_in_the_same_boot_repeats_nothing() {
    let folder = Folder::new();
    let all =
        |make: fn(anetcon_core::session::Flow) -> _| (0..300).map(one_of_many).map(make).collect();
    folder.write(folder.config(), all(new));
    // As logrotate leaves it, and then as the agent was killed while it wrote.
    fs::rename(folder.live(), folder.path("anetcon.sessions.ndjson-20261123")).unwrap();
    folder.write(folder.config(), (300..400).map(one_of_many).map(new).collect());
    OpenOptions::new().append(true).open(folder.live()).unwrap().write_all(b"{\"@time").unwrap();

    let log = folder.start();
    log.push(&origin(), (0..410).map(one_of_many).map(seen));
    let counters = log.stop().unwrap();
    assert_eq!((counters.remembered, counters.repeated, counters.written), (400, 400, 10));

    let mut config = folder.config();
    config.run.boot_id = "11111111-2222-3333-4444-555555555555".into();
    let log = SessionLog::start(config, |_| ()).unwrap();
    log.push(&origin(), [seen(one_of_many(5))]);
    assert_eq!(log.stop().unwrap().written, 1, "ids of another boot mean nothing");
}

#[test]
fn a_restart_knows_what_stands_in_records_without_remote_ends() {
    let folder = Folder::new();
    let config = || {
        let mut config = folder.config();
        config.run.destination = false;
        config
    };
    folder.write(config(), vec![new(nat(1)), new(float(2)), new(hairpin(3))]);
    let log = SessionLog::start(config(), |_| ()).unwrap();
    log.push(&origin(), [seen(nat(1)), seen(float(2)), seen(hairpin(3)), seen(nat(4))]);
    assert_eq!(log.stop().unwrap().repeated, 3);
}

#[test]
fn an_event_that_a_dump_overtook_is_the_same_connection() {
    let (folder, origin) = (Folder::new(), origin());
    let log = folder.start();
    let before = jiff::Timestamp::now() - SignedDuration::from_secs(3);
    log.push(&origin, [seen(nat(1)), new_at(nat(1), before)]);
    log.push(&origin, [seen(nat(2)), new(nat(2))]);
    // The same id and tuple again, after the dump: another connection.
    let after = jiff::Timestamp::now() + SignedDuration::from_secs(3);
    log.push(&origin, [new_at(nat(1), after)]);
    assert!(log.sync(DEADLINE));
    let counters = log.counters();
    assert_eq!((counters.written, counters.repeated), (3, 2));
}

#[test]
fn a_connection_with_the_id_and_the_tuple_of_one_that_is_over_is_another() {
    let (folder, origin) = (Folder::new(), origin());
    let log = folder.start();
    log.push(&origin, [new(nat(1)), new(nat(1)), destroyed(nat(1)), seen(nat(1))]);
    let counters = log.stop().unwrap();
    assert_eq!((counters.written, counters.unwanted, counters.repeated), (3, 1, 0));
}

#[test]
fn memory_is_bounded_and_what_dumps_find_again_stays_known() {
    let (folder, origin) = (Folder::new(), origin());
    let mut config = folder.config();
    config.generation = 100;
    let log = SessionLog::start(config, |_| ()).unwrap();
    log.push(&origin, [new(one_of_many(0)), new(one_of_many(1))]);
    for round in 0..10 {
        let others = (1000 + round * 90)..(1000 + round * 90 + 90);
        log.push(&origin, others.map(|number| new(one_of_many(number))));
        log.push(&origin, [seen(one_of_many(0))]);
    }
    assert!(log.sync(DEADLINE));
    assert_eq!(log.counters().repeated, 10, "it was found by every dump");
    log.push(&origin, [seen(one_of_many(1))]);
    let counters = log.stop().unwrap();
    assert_eq!(
        (counters.repeated, counters.written),
        (11, 902),
        "memory forgot it, the file did not"
    );
}

#[test]
fn every_record_is_in_exactly_one_count() {
    let (folder, origin) = (Folder::new(), origin());
    let log = folder.start();
    let mut offered = 0;
    for number in 0..2000 {
        let events =
            [new(one_of_many(number)), seen(one_of_many(number)), destroyed(one_of_many(number))];
        offered += events.len() as u64;
        log.push(&origin, events);
        let now = log.counters();
        let sum = now.written + now.repeated + now.unwanted + now.lost() + now.waiting;
        assert_eq!(sum, offered, "{now:?}");
    }
    log.stop().unwrap();
}
