//! Start, stop, kill and start again: what becomes of the rules, of the log and of other agents.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::loopback::Loopback;
use anetcon_testkit::netns::{Netns, wait_until};
use anetcon_testkit::ruleset::{listing, nft, table};
use nix::sys::signal::Signal;
use serde_json::Value;

const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// Ends a broken test; nothing here takes anywhere near as long.
const PATIENCE: Duration = Duration::from_secs(10);

fn auditing(netns: &Netns) -> Agent {
    let agent = Agent::start(Path::new(ANETCOND), Configuration::auditing(&[netns.name()]));
    agent.wait_audited(1);
    agent
}

fn our_table(agent: &Agent, netns: &Netns) -> Option<Value> {
    table(netns, &agent.configuration().table)
}

/// How many lines of the log tell of the connection with this mark.
fn lines_of(agent: &Agent, mark: &str) -> usize {
    agent.log_lines("nat").iter().filter(|line| line.contains(mark)).count()
}

/// Each connection has exactly one line, once a last one, made here, has arrived.
fn assert_logged_once(agent: &Agent, loopback: &Loopback<'_>, marks: &[String]) {
    let last = loopback.connect();
    wait_until("the last connection is logged", PATIENCE, || lines_of(agent, &last) > 0);
    for mark in marks {
        assert_eq!(lines_of(agent, mark), 1, "lines with {mark} in {:#?}", agent.log_lines("nat"));
    }
}

fn ends_in_good_order(signal: Signal) {
    let (one, two) = (Netns::new("stop"), Netns::new("stop"));
    nft(&one, "add table inet other");
    let configuration = Configuration::auditing(&[one.name(), two.name()]);
    let mut agent = Agent::start(Path::new(ANETCOND), configuration);
    agent.wait_audited(2);
    assert!(our_table(&agent, &one).is_some(), "there is something to remove");
    assert!(agent.socket().exists());

    agent.signal(signal);
    let status = agent.wait_for_exit();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(!agent.socket().exists(), "the control socket is gone");
    for netns in [&one, &two] {
        assert_eq!(our_table(&agent, netns), None, "in {}", netns.name());
    }
    assert!(table(&one, "other").is_some(), "what is not ours stays");
}

#[test]
fn sigterm_removes_rules_and_socket() {
    ends_in_good_order(Signal::SIGTERM);
}

#[test]
fn sigint_removes_rules_and_socket() {
    ends_in_good_order(Signal::SIGINT);
}

#[test]
fn what_is_no_namespace_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let netns = Netns::in_directory(folder.path(), "netns");
    fs::write(folder.path().join("plain"), "").unwrap();
    let mut configuration = Configuration::auditing(&[".*"]);
    configuration.namespace_directories = vec![folder.path().to_owned()];
    let mut agent = Agent::start(Path::new(ANETCOND), configuration);
    agent
        .wait_for_status("the namespace is audited", |status| status["namespaces"]["audited"] == 1);
    assert!(agent.stop().success());
    assert_eq!(our_table(&agent, &netns), None);
    let stderr = agent.stderr();
    assert!(!stderr.contains("cannot remove"), "there was nothing to remove: {stderr}");
}

#[test]
fn a_killed_agent_leaves_no_gap() {
    let netns = Netns::new("killed");
    let mut agent = auditing(&netns);
    let loopback = Loopback::of(&netns);
    let mut marks = Vec::new();
    for _ in 0..3 {
        marks.push(loopback.connect());
        agent.kill();
        assert!(agent.socket().exists(), "nobody was there to remove it, and it is no obstacle");
        marks.push(loopback.connect());
        let left_alone = our_table(&agent, &netns);
        assert!(left_alone.is_some(), "the rules work without an agent");

        agent.start_again();
        let status = agent.wait_audited(1);
        assert_eq!(our_table(&agent, &netns), left_alone, "adopted, handles and counters included");
        assert_eq!(status["connections"]["nat"], marks.len(), "counted all the time");
        assert_eq!(status["repairs"]["total"], 0, "nothing was wrong");
    }
    assert_logged_once(&agent, &loopback, &marks);
}

#[test]
fn a_regular_restart_repeats_no_line() {
    let netns = Netns::new("restart");
    let mut agent = auditing(&netns);
    let loopback = Loopback::of(&netns);
    let mark = loopback.connect();
    assert!(agent.stop().success());
    assert_eq!(lines_of(&agent, &mark), 1, "written before the end: {:#?}", agent.log_lines("nat"));
    agent.start_again();
    agent.wait_audited(1);
    assert_logged_once(&agent, &loopback, &[mark]);
}

#[test]
fn a_start_with_another_configuration_replaces_the_rules() {
    let netns = Netns::new("changed");
    let mut agent = auditing(&netns);
    let loopback = Loopback::of(&netns);
    let first = loopback.connect();
    assert_logged_once(&agent, &loopback, std::slice::from_ref(&first));
    agent.kill();
    let old_prefix = loopback.connect();
    agent.configure(|configuration| {
        configuration.protocols = vec!["tcp".into(), "udp".into()];
        configuration.prefix_other = "[other]".into();
    });
    agent.start_again();
    agent.wait_audited(1);
    let listing = listing(&netns, &agent.configuration().table);
    for part in ["udp", "[other]["] {
        assert!(listing.contains(part), "no {part} in {listing}");
    }
    assert!(!listing.contains("[X]["), "{listing}");
    let new_prefix = loopback.connect();
    // The rules of before wrote this line, with a prefix that is in no configuration any more.
    assert_logged_once(&agent, &loopback, &[first, old_prefix, new_prefix]);
}

#[test]
fn a_table_wiped_without_an_agent_comes_back_at_the_start() {
    let netns = Netns::new("wiped");
    let mut agent = auditing(&netns);
    let before = listing(&netns, &agent.configuration().table);
    agent.kill();
    nft(&netns, "flush ruleset");
    assert_eq!(our_table(&agent, &netns), None);
    agent.start_again();
    agent.wait_audited(1);
    assert_eq!(listing(&netns, &agent.configuration().table), before);
}

#[test]
fn a_second_agent_with_the_same_socket_touches_nothing() {
    let (netns, others) = (Netns::new("first"), Netns::new("second"));
    let agent = auditing(&netns);
    let mut configuration = Configuration::auditing(&[others.name()]);
    configuration.socket = Some(agent.socket());
    let mut second = Agent::prepared(Path::new(ANETCOND), configuration);

    second.spawn();
    let status = second.wait_for_exit();
    assert_eq!(status.code(), Some(1), "{status}");
    let wanted = format!("another agent listens on {}", agent.socket().display());
    assert!(second.stderr().contains(&wanted), "no {wanted:?} in {}", second.stderr());
    assert_eq!(our_table(&second, &others), None);
    for folder in ["log", "state"] {
        let entries = fs::read_dir(second.folder().join(folder)).unwrap();
        assert_eq!(entries.count(), 0, "{folder} was written to");
    }
    assert_eq!(agent.status()["pid"], agent.pid(), "the first one goes on");
}

#[test]
fn a_file_in_place_of_the_socket_is_let_be() {
    let mut configuration = Configuration::auditing(&["none"]);
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    fs::write(&precious, "text").unwrap();
    configuration.socket = Some(precious.clone());
    let mut agent = Agent::prepared(Path::new(ANETCOND), configuration);
    agent.spawn();
    let status = agent.wait_for_exit();
    assert_eq!(status.code(), Some(1), "{status}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "text");
    assert!(agent.stderr().contains("is no socket"), "{}", agent.stderr());
}

#[test]
fn two_agents_audit_one_namespace_side_by_side() {
    let netns = Netns::new("both");
    let one = auditing(&netns);
    let mut two = auditing(&netns);
    let loopback = Loopback::of(&netns);
    let mark = loopback.connect();
    for agent in [&one, &two] {
        assert_logged_once(agent, &loopback, std::slice::from_ref(&mark));
        assert_eq!(agent.status()["repairs"]["total"], 0, "neither disturbs the other");
    }

    let intact = listing(&netns, &one.configuration().table);
    assert!(two.stop().success());
    assert_eq!(our_table(&two, &netns), None);
    assert_eq!(listing(&netns, &one.configuration().table), intact);
    let mark = loopback.connect();
    assert_logged_once(&one, &loopback, &[mark]);
    one.wait_audited(1);
}
