//! What is on record stays on record once, whatever ends the agent: connections that were open before, restarts, kills
//! under load, rotation, and torn lines.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

mod records_kit;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::netns::{Netns, wait_until};
use nix::sys::signal::Signal;
use records_kit::*;
use serde_json::Value;

/// Starts an agent that was stopped or killed, and waits until it records again.
fn again(agent: &mut Agent, namespaces: u64) {
    agent.start_again();
    agent.wait_audited(namespaces);
    wait_followed(agent, namespaces);
}

fn actions(records: &[Value]) -> Vec<&str> {
    records.iter().map(action).collect()
}

#[test]
fn what_was_open_before_is_seen_once() {
    let netns = Netns::new("recseen");
    let before = open(&netns, 0..50);
    let mut agent = auditing(&[&netns], |_| {});
    let records = settled(&agent, &netns);
    assert_once(&records, &before);
    assert!(actions(&records).iter().all(|action| *action == "seen"), "{records:#?}");
    assert_valid(&records);

    let mut all = before;
    for round in 1..=4_u16 {
        all.extend(open(&netns, round * 50..round * 50 + 20));
        settle(&agent, &netns);
        if round % 2 == 0 {
            assert!(agent.stop().success());
        } else {
            agent.kill();
        }
        // Opened while nobody looks.
        all.extend(open(&netns, round * 50 + 20..round * 50 + 50));
        again(&mut agent, 1);
        assert_once(&settled(&agent, &netns), &all);
    }
    let records = settled(&agent, &netns);
    let seen = actions(&records).iter().filter(|action| **action == "seen").count();
    assert_eq!(seen, 50 + 4 * 30);
    assert_no_holes(&read(&file(&agent)));
}

#[test]
fn what_ended_while_nobody_looked_is_all_that_is_missing() {
    let netns = Netns::new("recmissed");
    let mut agent = auditing(&[&netns], |_| {});
    let mut all = open(&netns, 0..20);
    settle(&agent, &netns);
    agent.kill();
    all.extend(open(&netns, 20..40));
    open(&netns, 40..41);
    close(&netns, 40);
    // On record, and over when the agent looks again.
    close(&netns, 3);
    again(&mut agent, 1);
    assert_once(&settled(&agent, &netns), &all);
}

#[test]
fn a_kill_under_load_costs_and_doubles_nothing() {
    let netns = Netns::new("reckill");
    let mut agent = auditing(&[&netns], |_| {});
    let made = under_load(&netns, |more| {
        for _ in 0..5 {
            more();
            agent.kill();
            more();
            agent.start_again();
        }
        more();
    });
    agent.wait_audited(1);
    wait_followed(&agent, 1);
    settle(&agent, &netns);
    // A write may have been cut by the signal; that line is written anew.
    let (records, damaged) = read_damaged(&file(&agent));
    assert!(damaged.len() <= 5, "{damaged:#?}");
    assert_no_holes(&records);
    assert_once(&without_marks(records), &made);
}

#[test]
fn a_stop_puts_on_record_what_waits() {
    let netns = Netns::new("recstop");
    let mut agent = auditing(&[&netns], |_| {});
    agent.signal(Signal::SIGSTOP);
    let made = open(&netns, 0..10_000);
    agent.signal(Signal::SIGTERM);
    agent.signal(Signal::SIGCONT);
    assert!(agent.wait_for_exit().success());
    let records = read(&file(&agent));
    assert_no_holes(&records);
    assert_once(&records, &made);
}

/// The live file and those that it was renamed to, oldest first.
fn rotated(agent: &Agent, count: usize) -> Vec<PathBuf> {
    let names = (0..count).map(|number| agent.folder().join(format!("log/rotated.{number}")));
    names.chain([file(agent)]).collect()
}

fn rename(agent: &Agent, number: usize) {
    fs::rename(file(agent), agent.folder().join(format!("log/rotated.{number}"))).unwrap();
}

#[test]
fn rotation_under_load_loses_and_doubles_nothing() {
    let netns = Netns::new("recrotate");
    let agent = auditing(&[&netns], |_| {});
    let made = under_load(&netns, |more| {
        // So that each file gets its part.
        let more = || {
            more();
            settle(&agent, &netns);
        };
        for number in 0..5 {
            more();
            rename(&agent, number);
            rotate(&agent);
            // When the answer comes the file is there.
            assert!(file(&agent).exists());
        }
        more();
        // By SIGHUP, as logrotate asks for it elsewhere.
        rename(&agent, 5);
        agent.reload();
        wait_until("SIGHUP makes the new file", PATIENCE, || file(&agent).exists());
        more();
        // By nothing but the new name.
        rename(&agent, 6);
        wait_until("the new file is made", PATIENCE, || file(&agent).exists());
        more();
    });
    settle(&agent, &netns);
    let files = rotated(&agent, 7);
    let each: Vec<Vec<Value>> = files.iter().map(|path| read(path)).collect();
    assert!(each.iter().all(|records| records.len() > 50), "a file lacks the load");
    let records = each.concat();
    assert_no_holes(&records);
    assert_once(&without_marks(records), &made);
}

#[test]
fn what_a_renamed_file_holds_is_not_written_again() {
    let netns = Netns::new("recrenamed");
    let mut agent = auditing(&[&netns], |_| {});
    let made = open(&netns, 0..30);
    settle(&agent, &netns);
    let renamed = file(&agent).with_file_name("anetcon.sessions.ndjson.1");
    fs::rename(file(&agent), &renamed).unwrap();
    rotate(&agent);
    agent.kill();
    again(&mut agent, 1);
    settle(&agent, &netns);
    let records = [read(&renamed), read(&file(&agent))].concat();
    assert_once(&without_marks(records), &made);
}

#[test]
fn what_is_open_for_long_is_found_in_the_file_where_it_was_recorded() {
    let netns = Netns::new("reclong");
    let mut agent = auditing(&[&netns], |_| {});
    let mut made = Vec::new();
    for number in [3, 2, 1] {
        made.extend(open(&netns, number * 10..number * 10 + 10));
        settle(&agent, &netns);
        fs::rename(file(&agent), sibling(&agent, number)).unwrap();
        rotate(&agent);
    }
    // As logrotate packs it.
    let oldest = sibling(&agent, 3);
    run(&netns, "gzip", &[oldest.to_str().unwrap()]);
    agent.kill();
    made.extend(open(&netns, 0..10));
    again(&mut agent, 1);
    settle(&agent, &netns);
    wait_until("what was found open was looked for", PATIENCE, || {
        agent.status()["records"]["waiting"] == 0
    });

    run(&netns, "gunzip", &[oldest.to_str().unwrap()]);
    let files = [oldest, sibling(&agent, 2), sibling(&agent, 1), file(&agent)];
    let records = files.map(|path| read(&path)).concat();
    assert_once(&without_marks(records), &made);
}

/// The live file's name with a number behind it.
fn sibling(agent: &Agent, number: u16) -> PathBuf {
    file(agent).with_file_name(format!("anetcon.sessions.ndjson.{number}"))
}

#[test]
fn a_torn_line_is_sealed() {
    let netns = Netns::new("rectorn");
    let mut agent = auditing(&[&netns], |_| {});
    let mut made = open(&netns, 0..20);
    settle(&agent, &netns);
    agent.kill();

    let text = fs::read_to_string(file(&agent)).unwrap();
    let half = &text.lines().last().unwrap()[..200];
    let mut live = OpenOptions::new().append(true).open(file(&agent)).unwrap();
    live.write_all(half.as_bytes()).unwrap();

    made.extend(open(&netns, 20..40));
    again(&mut agent, 1);
    made.extend(open(&netns, 40..60));
    settle(&agent, &netns);
    let (records, damaged) = read_damaged(&file(&agent));
    assert_eq!(damaged, [half]);
    assert_no_holes(&records);
    assert_once(&without_marks(records), &made);
}
