//! What the kernel counts, logs and tells of is the same number of connections, and where it is not, the agent says so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not right")]
#![allow(clippy::disallowed_methods, reason = "tests start the programs they compare with")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

mod gaps_kit;
mod records_kit;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::loopback::Loopback;
use anetcon_testkit::netns::{Netns, wait_until};
use gaps_kit::{assert_between, gaps, wait_for};
use jiff::Timestamp;
use records_kit::*;
use serde_json::{Value, json};

fn namespace(agent: &Agent, netns: &Netns) -> Value {
    agent.get(&format!("/v1/namespaces/{}", netns.name()))["namespace"].clone()
}

/// Counted by the kernel, seen in its log, told of by connection tracking.
fn numbers(agent: &Agent, netns: &Netns) -> [u64; 3] {
    let namespace = namespace(agent, netns);
    let nat = |of: &Value| of["nat"].as_u64().unwrap();
    [&namespace["connections"], &namespace["balance"]["lines"], &namespace["balance"]["records"]]
        .map(nat)
}

fn connect(netns: &Netns, count: usize) {
    Loopback::of(netns).connect_while(|made| made < count);
}

fn unaccounted(agent: &Agent) -> Vec<Value> {
    let all = gaps(agent, &[]).gaps;
    all.into_iter().filter(|gap| gap["cause"] == "unaccounted").collect()
}

#[test]
fn the_three_numbers_agree_whoever_writes() {
    for writer in ["agent", "rsyslog"] {
        let netns = Netns::new("balance");
        let agent = auditing(&[&netns], |configuration| configuration.writer = writer.to_owned());
        connect(&netns, 100);
        wait_until(&format!("the numbers agree ({writer})"), PATIENCE, || {
            numbers(&agent, &netns) == [100; 3]
        });
        let balance = &namespace(&agent, &netns)["balance"];
        assert_eq!(
            (&balance["unaccounted_lines"], &balance["unaccounted_records"]),
            (&json!(0), &json!(0))
        );
    }
}

#[test]
fn wipes_kills_and_reloads_under_traffic_make_no_difference() {
    let netns = Netns::new("balwipes");
    let mut agent = auditing(&[&netns], |_| {});
    let table = agent.configuration().table.clone();
    for round in 0..30 {
        connect(&netns, 10);
        run(&netns, "nft", &["delete", "table", "inet", &table]);
        match round {
            10 => reload(&mut agent, |configuration| configuration.prefix_other = "[Y]".to_owned()),
            20 => {
                agent.kill();
                connect(&netns, 10);
                agent.start_again();
                agent.wait_audited(1);
                wait_followed(&agent, 1);
            }
            _ => {}
        }
    }
    // Longer than a difference may last.
    let later = Timestamp::now() + jiff::SignedDuration::from_secs(10);
    wait_until("a difference would have been told", PATIENCE, || Timestamp::now() > later);
    assert_eq!(unaccounted(&agent), Vec::<Value>::new());
}

#[test]
fn connections_that_are_never_told_of_are_missed() {
    let netns = Netns::new("ballost");
    let agent = auditing(&[&netns], |_| {});
    connect(&netns, 20);
    wait_until("the numbers agree", PATIENCE, || numbers(&agent, &netns) == [20; 3]);
    // And a quiet look after that.
    let later = Timestamp::now() + jiff::SignedDuration::from_secs(5);
    wait_until("some rounds have passed", PATIENCE, || Timestamp::now() > later);
    let before = Timestamp::now();
    // The kernel tells of no connection that begins now, and nothing says so.
    set(&netns, "nf_conntrack_events", "0");
    connect(&netns, 7);
    set(&netns, "nf_conntrack_events", "1");
    let gap = wait_for(&agent, "unaccounted", before, 1).remove(0);
    assert_eq!((&gap["channels"], &gap["lost"]), (&json!(["records"]), &json!(7)), "{gap:#}");
    assert_eq!(gap["namespace"], netns.name());
    // It is dated to the last look at which nothing was missing.
    let look = jiff::SignedDuration::from_secs(6);
    assert_between(&gap, "from", before - look, before);
    assert_eq!(namespace(&agent, &netns)["balance"]["unaccounted_records"], 7);
    connect(&netns, 5);
    wait_until("the rest is told of", PATIENCE, || numbers(&agent, &netns)[1] == 32);
    assert_eq!(unaccounted(&agent).len(), 1);
}
