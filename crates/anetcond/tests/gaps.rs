//! The ledger's account is what really happened: each cause is produced, and the times are those that the test knows.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not right")]
#![allow(clippy::disallowed_methods, reason = "the ledger is read as an operator reads it")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

mod gaps_kit;
mod records_kit;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anetcon_testkit::agent::Agent;
use anetcon_testkit::netns::{Netns, unique, wait_until};
use anetcon_testkit::ruleset::{Owner, listing};
use gaps_kit::*;
use jiff::Timestamp;
use nix::sys::signal::Signal;
use records_kit::*;
use serde_json::json;

/// Removes the agent's table, and says from when to when.
fn wipe(netns: &Netns, agent: &Agent) -> (Timestamp, Timestamp) {
    let before = Timestamp::now();
    run(netns, "nft", &["delete", "table", "inet", &agent.configuration().table]);
    (before, Timestamp::now())
}

fn is_there(netns: &Netns, agent: &Agent) -> bool {
    !listing(netns, &agent.configuration().table).is_empty()
}

#[test]
fn a_start_without_a_history_knows_nothing_of_before() {
    let netns = Netns::new("gapfirst");
    let before = Timestamp::now();
    let agent = auditing(&[&netns], |_| {});
    let born = wait_for(&agent, "born", before, 2);
    for gap in &born {
        assert_eq!(gap["namespace"], netns.name());
        assert_between(gap, "from", before, Timestamp::now());
    }
    let now = Timestamp::now();
    let told = gaps(&agent, &["--from", &now.to_string()]);
    assert!(told.complete, "{}", told.sentence);
    assert!(told.sentence.starts_with("Complete from "), "{}", told.sentence);
    let told = gaps(&agent, &["--from", "-1h", "--to", &before.to_string()]);
    assert!(!told.complete && told.sentence.contains("nothing is known"), "{}", told.sentence);
}

#[test]
fn a_wipe_names_its_culprit() {
    let netns = Netns::new("gapwipe");
    let agent = auditing(&[&netns], |_| {});
    let start = Timestamp::now();
    let (before, after) = wipe(&netns, &agent);
    let gap = wait_for(&agent, "wiped", start, 1).remove(0);
    assert_eq!(gap["namespace"], netns.name());
    assert_between(&gap, "from", before, after);
    assert!(time(&gap, "to") >= time(&gap, "from"));
    assert_eq!(gap["culprits"][0]["process"], "nft");
    assert_eq!(gap["reasons"], json!(["table missing"]));
    assert!(!gaps(&agent, &["--from", &start.to_string()]).complete);
    let other = gaps(&agent, &["--from", &start.to_string(), "--namespace", "^no-such-name$"]);
    assert!(other.complete, "{}", other.sentence);
}

#[test]
fn a_culprit_that_lives_on_is_known_by_command_and_user() {
    let netns = Netns::new("gapculprit");
    let agent = auditing(&[&netns], |_| {});
    let start = Timestamp::now();
    let mut nft = netns.command("nft").arg("-i").stdin(Stdio::piped()).spawn().unwrap();
    let table = &agent.configuration().table;
    let input = nft.stdin.as_mut().unwrap();
    input.write_all(format!("delete table inet {table}\n").as_bytes()).unwrap();
    let told = wait_for(&agent, "wiped", start, 1).remove(0);
    let tid = nft.id();
    drop(nft.stdin.take());
    assert!(nft.wait().unwrap().success());
    let culprit = &told["culprits"][0];
    let expected = json!({"process": "nft", "tid": tid, "command": "nft -i", "uid": 0});
    assert_eq!(culprit, &expected);
}

#[test]
fn what_leaves_our_table_alone_is_no_gap() {
    let netns = Netns::new("gapother");
    let agent = auditing(&[&netns], |_| {});
    let start = Timestamp::now();
    for rules in [
        "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n",
        "*nat\nCOMMIT\n",
    ] {
        let mut restore = netns.command("iptables-restore").stdin(Stdio::piped()).spawn().unwrap();
        restore.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        assert!(restore.wait().unwrap().success());
    }
    // A wipe that comes after is told, so the others would have been.
    wipe(&netns, &agent);
    let told = wait_for(&agent, "wiped", start, 1);
    assert_eq!(told.len(), 1, "{told:#?}");
}

#[test]
fn a_kill_costs_records_and_no_kernel_line_while_the_rules_stand() {
    let netns = Netns::new("gapkill");
    let mut agent = auditing(&[&netns], |_| {});
    let before = Timestamp::now();
    agent.kill();
    let killed = Timestamp::now();
    let down = wait_until("the silence is noticed", PATIENCE, || {
        let told = gaps(&agent, &["--from", &killed.to_string()]);
        (!told.complete).then_some(told)
    });
    assert_eq!(down.gaps[0]["cause"], "agent-down");
    assert_between(&down.gaps[0], "from", before, killed);
    assert!(down.gaps[0]["to"].is_null());

    agent.start_again();
    agent.wait_audited(1);
    wait_followed(&agent, 1);
    let back = Timestamp::now();
    let told = wait_for(&agent, "agent-down", before, 1);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["channels"], json!(["records"]));
    assert_between(&told[0], "from", before, killed);
    assert_between(&told[0], "to", killed, back);
}

#[test]
fn rules_that_were_wiped_while_nobody_looked_are_missed_from_the_kill_on() {
    let netns = Netns::new("gapdown");
    let mut agent = auditing(&[&netns], |_| {});
    let before = Timestamp::now();
    agent.kill();
    let killed = Timestamp::now();
    wipe(&netns, &agent);
    let started = Timestamp::now();
    agent.start_again();
    agent.wait_audited(1);
    wait_followed(&agent, 1);
    let told = wait_for(&agent, "agent-down", before, 2);
    for (gap, channel) in told.iter().zip(["kernel-log", "records"]) {
        assert_eq!(gap["channels"], json!([channel]));
        assert_between(gap, "from", before, killed);
        assert_between(gap, "to", started, Timestamp::now());
    }
}

#[test]
fn a_stop_is_a_gap_until_the_next_start() {
    let netns = Netns::new("gapstop");
    let mut agent = auditing(&[&netns], |_| {});
    let before = Timestamp::now();
    agent.signal(Signal::SIGTERM);
    let asked = Timestamp::now();
    assert!(agent.wait_for_exit().success());
    let told = gaps(&agent, &["--from", &before.to_string()]).gaps;
    assert_eq!((told.len(), &told[0]["cause"]), (1, &json!("agent-down")), "{told:#?}");
    assert_between(&told[0], "from", before, asked);
    let started = Timestamp::now();
    agent.start_again();
    agent.wait_audited(1);
    wait_followed(&agent, 1);
    let told = wait_for(&agent, "agent-down", before, 2);
    assert_eq!(told.len(), 2, "{told:#?}");
    for gap in &told {
        assert_between(gap, "from", before, asked);
        assert_between(gap, "to", started, Timestamp::now());
    }
}

#[test]
fn a_namespace_is_missed_from_its_birth_to_its_rules() {
    let netns = Netns::new("gapold");
    let name = unique("gapborn");
    let agent =
        auditing(&[&netns], |configuration| configuration.namespaces.push(format!("^{name}$")));
    for round in 0..3 {
        let before = Timestamp::now();
        let born = Netns::named(&name);
        let made = Timestamp::now();
        agent.wait_audited(2);
        let audited = Timestamp::now();
        let told = wait_for(&agent, "born", before, 2);
        for gap in &told {
            assert_eq!(gap["namespace"], name.as_str(), "round {round}");
            assert_between(gap, "from", before, made);
            assert_between(gap, "to", before, audited);
        }
        drop(born);
        agent.wait_audited(1);
    }
}

#[test]
fn a_namespace_that_cannot_be_programmed_is_unreachable_until_it_can_be() {
    let netns = Netns::new("gapowned");
    let mut agent = prepared(&[&netns], |_| {});
    let owner = Owner::of(&netns, &agent.configuration().table);
    let before = Timestamp::now();
    agent.start_again();
    agent.wait_for_status("the namespace fails", |status| status["namespaces"]["failed"] == 1);
    let open = wait_until("it is told", PATIENCE, || {
        let told = gaps(&agent, &[]).gaps;
        told.into_iter().find(|gap| gap["cause"] == "unreachable")
    });
    assert_between(&open, "from", before, Timestamp::now());
    assert!(open["to"].is_null() && open["namespace"] == netns.name(), "{open:#}");
    let freed = Timestamp::now();
    drop(owner);
    agent.wait_audited(1);
    let gap = wait_for(&agent, "unreachable", before, 1).remove(0);
    assert_between(&gap, "to", freed, Timestamp::now());
}

#[test]
fn what_the_configuration_leaves_out_is_missing() {
    let (kept, left) = (Netns::new("gapkept"), Netns::new("gapleft"));
    let mut agent = auditing(&[&kept, &left], |_| {});
    let both = agent.configuration().namespaces.clone();
    let before = Timestamp::now();
    reload(&mut agent, |configuration| configuration.namespaces.truncate(1));
    let after = Timestamp::now();
    let told = gaps(&agent, &["--from", &before.to_string()]);
    assert_eq!(told.gaps.len(), 1, "{:#?}", told.gaps);
    let gap = &told.gaps[0];
    assert_eq!((&gap["cause"], &gap["namespace"]), (&json!("not-selected"), &json!(left.name())));
    assert_between(gap, "from", before, after);
    reload(&mut agent, |configuration| configuration.namespaces = both);
    let again = wait_for(&agent, "not-selected", before, 1);
    assert_between(&again[0], "to", after, Timestamp::now());
}

#[test]
fn connections_that_the_kernel_log_missed_are_counted_and_found() {
    let netns = Netns::new("gapmissed");
    // So that connections are tracked without our rules, too, and records have the kernel's times.
    run(&netns, "nft", &["add", "table", "inet", "other"]);
    run(
        &netns,
        "nft",
        &["add", "chain", "inet", "other", "post", "{ type filter hook output priority 0 ; }"],
    );
    run(&netns, "nft", &["add", "rule", "inet", "other", "post", "ct", "state", "new", "counter"]);
    set(&netns, "nf_conntrack_timestamp", "1");
    let agent = auditing(&[&netns], |_| {});
    let before = Timestamp::now();
    agent.signal(Signal::SIGSTOP);
    let stopped = Timestamp::now();
    // Longer than the agent is ever late by itself.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (_, wiped) = wipe(&netns, &agent);
    let made = open(&netns, 0..7);
    agent.signal(Signal::SIGCONT);
    wait_until("the table is back", PATIENCE, || is_there(&netns, &agent));
    let gap = wait_until("the connections are counted", PATIENCE, || {
        wait_for(&agent, "wiped", before, 1).into_iter().find(|gap| gap["connections"].is_number())
    });
    // Nobody looked, so it may have been wiped as soon as the agent stood still.
    assert_between(&gap, "from", before, stopped);
    assert!(time(&gap, "to") > wiped, "{gap:#}");
    assert_eq!(gap["connections"], made.len(), "{gap:#}");
    assert_eq!(gap["channels"], json!(["kernel-log"]), "the records are whole");
}

#[test]
fn a_full_disk_is_missed_while_it_is_full() {
    let netns = Netns::new("gapfull");
    let agent = auditing(&[&netns], |_| {});
    open(&netns, 0..3);
    settle(&agent, &netns);
    // No file can be made where there is a folder.
    let before = Timestamp::now();
    fs::remove_file(file(&agent)).unwrap();
    fs::create_dir(file(&agent)).unwrap();
    open(&netns, 10..13);
    agent.wait_for_status("they are counted", |status| status["records"]["unwritten"] == 3);
    let counted = Timestamp::now();
    fs::remove_dir(file(&agent)).unwrap();
    let room = Timestamp::now();
    open(&netns, 20..23);
    settle(&agent, &netns);
    let told = wait_for(&agent, "disk-full", before, 1);
    let gap = told.last().unwrap();
    assert_eq!((&gap["channels"], &gap["lost"]), (&json!(["records"]), &json!(3)), "{told:#?}");
    assert_eq!(gap["file"], "sessions");
    assert_between(gap, "from", before, counted);
    assert_between(gap, "to", room, Timestamp::now());
}

#[test]
fn an_overrun_is_missed_from_the_last_quiet_moment_on() {
    let netns = Netns::new("gapoverrun");
    let agent = auditing(&[&netns], |configuration| configuration.record_buffer = 64 << 10);
    open(&netns, 0..3);
    settle(&agent, &netns);
    let before = Timestamp::now();
    agent.signal(Signal::SIGSTOP);
    let stopped = Timestamp::now();
    // Else the flood is over before its end can be told from its beginning.
    std::thread::sleep(std::time::Duration::from_millis(300));
    open(&netns, 100..3000);
    let flooded = Timestamp::now();
    agent.signal(Signal::SIGCONT);
    let gap = wait_for(&agent, "record-overrun", before, 1).remove(0);
    assert_eq!(gap["namespace"], netns.name());
    assert!(time(&gap, "from") <= stopped + EXACT, "{gap:#}");
    assert_between(&gap, "to", flooded, Timestamp::now());
}

#[test]
fn who_ends_with_the_verdict() {
    let netns = Netns::new("gapwho");
    let agent = auditing(&[&netns], |_| {});
    open(&netns, 0..1);
    settle(&agent, &netns);
    let since = Timestamp::now();
    let ask = |arguments: &[&str]| {
        let tool = Path::new(ANETCOND).with_file_name("anetconctl");
        let config = agent.configuration_path();
        let output = Command::new(tool).arg("--config").arg(config).args(arguments).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
    let answer = ask(&["who", "203.0.113.7", "--from", &since.to_string()]);
    assert!(last(&answer).starts_with("Complete from"), "{answer}");
    wipe(&netns, &agent);
    wait_for(&agent, "wiped", since, 1);
    let answer = ask(&["who", "203.0.113.7", "--from", &since.to_string()]);
    assert!(last(&answer).starts_with("Not complete from"), "{answer}");
}
