//! What can go wrong costs no more than it must, is counted, and is told: a full disk, a folder that is gone, a buffer
//! that runs over, a namespace that is deleted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not right")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

mod records_kit;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::beside::listens;
use anetcon_testkit::netns::{Netns, unique, wait_until};
use anetcon_testkit::ruleset::{listing, nft};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;
use records_kit::*;
use serde_json::Value;

/// A small file system in memory, over a folder.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn over(folder: &Path) -> Self {
        let none = None::<&str>;
        mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some("size=256k,mode=755"))
            .or_else(|_| mount(none, folder, Some("tmpfs"), MsFlags::empty(), none))
            .unwrap();
        Self(folder.to_owned())
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

fn number(status: &Value, key: &str) -> u64 {
    status["records"][key].as_u64().unwrap()
}

/// What the verdict says of records.
fn problem(status: &Value) -> Option<String> {
    let problems = status["verdict"]["problems"].as_array().unwrap();
    let of_records = |problem: &&Value| problem.as_str().unwrap().contains("put on record");
    problems.iter().find(of_records).map(|problem| problem.as_str().unwrap().to_owned())
}

/// Makes connections that cannot be written, and waits until the status tells of each.
fn unwritable(agent: &Agent, netns: &Netns, numbers: std::ops::Range<u16>, reason: &str) {
    let count = open(netns, numbers).len() as u64;
    let status = agent.wait_for_status("they are counted as unwritten", |status| {
        number(status, "unwritten") + number(status, "written") >= count
            && problem(status).is_some()
    });
    assert_eq!(status["verdict"]["ok"], false, "{status:#}");
    let problem = problem(&status).unwrap();
    assert!(problem.contains(reason), "{problem}");
    assert!(problem.contains(&file(agent).display().to_string()), "{problem}");
}

/// Waits until all is well again, by itself.
fn wait_recovered(agent: &Agent) -> Value {
    agent.wait_for_status("records are written again", |status| problem(status).is_none())
}

/// The numbers that are missing between those of one run: each stands for a record that is gone.
fn holes(records: &[Value], status: &Value) -> u64 {
    let numbers: std::collections::BTreeSet<u64> =
        records.iter().map(|record| record["anetcon"]["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len(), records.len(), "a number came twice");
    number(status, "last_seq") - records.len() as u64
}

#[test]
fn a_full_disk_is_told_and_counted() {
    let netns = Netns::new("recfull");
    let mut agent = prepared(&[&netns], |_| {});
    let disk = SmallDisk::over(&agent.folder().join("log"));
    agent.start_again();
    agent.wait_audited(1);
    wait_followed(&agent, 1);
    let mut made = open(&netns, 0..20);
    settle(&agent, &netns);

    disk.fill();
    unwritable(&agent, &netns, 100..400, "No space left on device");
    disk.make_room();
    made.extend(open(&netns, 20..40));
    settle(&agent, &netns);
    let status = wait_recovered(&agent);

    let (records, damaged) = read_damaged(&file(&agent));
    assert!(damaged.len() <= 1, "the one that was cut: {damaged:#?}");
    let lost = number(&status, "unwritten");
    assert!(lost > 200, "{status:#}");
    assert_eq!(number(&status, "written"), records.len() as u64, "{status:#}");
    assert_eq!(holes(&records, &status), lost, "{status:#}");
    let mut records = without_marks(records);
    assert_eq!(records.len() as u64 + lost, 340, "all are on record or counted");
    let meanwhile: Vec<_> =
        records.extract_if(.., |record| !made.contains(&sides(record))).collect();
    assert!(meanwhile.len() < 100);
    assert_once(&records, &made);
    drop(disk);
}

#[test]
fn a_folder_that_is_gone_is_made_again() {
    let netns = Netns::new("recfolder");
    let agent = auditing(&[&netns], |_| {});
    let folder = agent.folder().join("log");
    open(&netns, 0..20);
    settle(&agent, &netns);
    fs::remove_dir_all(&folder).unwrap();
    let mut made = open(&netns, 20..40);
    assert_once(&settled(&agent, &netns), &made);

    // No folder can be made where there is a file.
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "").unwrap();
    let before = number(&agent.status(), "written");
    open(&netns, 40..60);
    let status = agent.wait_for_status("twenty are counted as unwritten", |status| {
        number(status, "unwritten") == 20
    });
    assert_eq!(number(&status, "written"), before, "{status:#}");
    assert!(problem(&status).unwrap().contains("cannot write"), "{status:#}");
    assert_eq!(status["verdict"]["ok"], false);

    fs::remove_file(&folder).unwrap();
    made = open(&netns, 60..80);
    assert_once(&settled(&agent, &netns), &made);
    let status = wait_recovered(&agent);
    assert_eq!(number(&status, "unwritten"), 20, "{status:#}");
}

fn overruns(agent: &Agent, netns: &Netns) -> u64 {
    let shown = agent.get(&format!("/v1/namespaces/{}", netns.name()));
    shown["namespace"]["records"]["overruns"].as_u64().unwrap_or_else(|| panic!("{shown:#}"))
}

#[test]
fn an_overrun_is_counted_and_what_is_open_is_on_record() {
    let (burst, quiet) = (Netns::new("recburst"), Netns::new("recquiet"));
    let agent = auditing(&[&burst, &quiet], |configuration| configuration.record_buffer = 65_536);
    let mut made = open(&burst, 0..20);
    settle(&agent, &burst);
    assert_eq!(number(&agent.status(), "overruns"), 0);

    agent.signal(Signal::SIGSTOP);
    made.extend(open(&burst, 20..3000));
    let calm = open(&quiet, 0..20);
    agent.signal(Signal::SIGCONT);
    settle(&agent, &quiet);
    settle(&agent, &burst);
    let status = agent.wait_for_status("all are written", |status| {
        number(status, "overruns") >= 1 && number(status, "waiting") == 0
    });
    assert!(overruns(&agent, &burst) >= 1);
    assert_eq!(overruns(&agent, &quiet), 0);
    assert_eq!(number(&status, "overruns"), overruns(&agent, &burst), "{status:#}");

    let records = read(&file(&agent));
    assert_no_holes(&records);
    let records = without_marks(records);
    let seen = records.iter().filter(|record| action(record) == "seen").count();
    assert!(seen > 100, "the buffer did not run over: {seen}");
    made.extend(calm);
    let name = |record: &Value| record["anetcon"]["namespace"].as_str().unwrap().to_owned();
    let in_burst = records.iter().filter(|record| name(record) == burst.name()).count();
    assert_eq!((in_burst, records.len()), (3000, 3020));
}

#[test]
fn a_reader_that_stalls_loses_nothing() {
    let netns = Netns::new("recstall");
    let agent = auditing(&[&netns], |_| {});
    agent.signal(Signal::SIGSTOP);
    let made = open(&netns, 0..7500);
    agent.signal(Signal::SIGCONT);
    let records = settled(&agent, &netns);
    assert!(records.iter().all(|record| action(record) == "direct"));
    assert_once(&records, &made);
    assert_eq!(number(&agent.status(), "overruns"), 0);
}

#[test]
fn a_deleted_namespace_leaves_all_its_records() {
    let netns = Netns::new("recgone");
    let agent = auditing(&[&netns], |_| {});
    let witness = netns.witness();
    let before = agent.open_files().len();
    // Deleted before the agent can have read the first of them.
    agent.signal(Signal::SIGSTOP);
    let made = open(&netns, 0..10_000);
    drop(netns);
    agent.signal(Signal::SIGCONT);
    wait_until("the kernel frees the namespace", PATIENCE, || witness.saw_it_freed());
    rotate(&agent);
    let records = read(&file(&agent));
    assert_no_holes(&records);
    assert_once(&records, &made);
    let status =
        agent.wait_for_status("nobody is followed", |status| status["records"]["namespaces"] == 0);
    assert_eq!(problem(&status), None);
    assert!(agent.open_files().len() < before);
}

#[test]
fn a_deleted_namespace_that_overran_leaves_what_is_open() {
    let netns = Netns::new("reclast");
    let agent = auditing(&[&netns], |configuration| configuration.record_buffer = 65_536);
    let witness = netns.witness();
    agent.signal(Signal::SIGSTOP);
    let made = open(&netns, 0..2000);
    drop(netns);
    agent.signal(Signal::SIGCONT);
    wait_until("the kernel frees the namespace", PATIENCE, || witness.saw_it_freed());
    rotate(&agent);
    assert_once(&read(&file(&agent)), &made);
    // It is gone; that it overran is not.
    agent.wait_for_status("the overrun is counted", |status| number(status, "overruns") == 1);
}

#[test]
fn a_namespace_made_again_is_recorded_again() {
    let name = unique("recagain");
    let mut netns = Netns::named(&name);
    let agent = auditing(&[&netns], |_| {});
    let mut made = Vec::new();
    for round in 0..6_u16 {
        // What is left to read of the old one is read while the new one is opened.
        agent.signal(Signal::SIGSTOP);
        made.extend(open(&netns, round * 1000..round * 1000 + 1000));
        drop(netns);
        netns = Netns::named(&name);
        agent.signal(Signal::SIGCONT);
        wait_until("it listens there", PATIENCE, || listens(&netns, agent.pid(), 1));
        settle(&agent, &netns);
        // And says so, too.
        agent.wait_audited(1);
        let status = agent.status();
        assert_eq!(status["records"]["namespaces"], 1, "round {round}: {status:#}");
        assert_eq!(problem(&status), None);
    }
    assert_once(&settled(&agent, &netns), &made);
    // The tuples are the same in each namespace; the cookies are not.
    let again = open(&netns, 0..10);
    made.extend(again);
    assert_once(&settled(&agent, &netns), &made);
}

#[test]
fn repairs_and_records_do_not_disturb_each_other() {
    let netns = Netns::new("recrepair");
    let agent = auditing(&[&netns], |_| {});
    let table = agent.configuration().table.clone();
    let made = thread::scope(|scope| {
        let load = scope.spawn(|| -> Vec<Sides> {
            (0..50).flat_map(|round| open(&netns, round * 100..round * 100 + 100)).collect()
        });
        for _ in 0..30 {
            nft(&netns, "flush ruleset");
            wait_until("the rules are back", PATIENCE, || {
                listing(&netns, &table).contains("anetcon nat")
            });
        }
        load.join().unwrap()
    });
    let records = settled(&agent, &netns);
    assert_no_holes(&read(&file(&agent)));
    assert_once(&records, &made);
    let status = agent.status();
    // Two wipes in a row may be one repair.
    assert!(status["repairs"]["total"].as_u64().unwrap() >= 15, "{status:#}");
    assert_eq!(number(&status, "overruns"), 0, "{status:#}");
}
