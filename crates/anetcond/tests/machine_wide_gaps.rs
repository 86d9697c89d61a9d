//! The kernel log is one ring for the whole machine: when it runs over before the agent could read it, the ledger says from when to when.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not right")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

mod gaps_kit;

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::loopback::Loopback;
use anetcon_testkit::netns::{Netns, unique};
use anetcon_testkit::ruleset::nft;
use gaps_kit::*;
use jiff::Timestamp;
use nix::sys::signal::Signal;
use serde_json::json;

const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// More lines than any ring of the kernel log holds here: each has some 150 bytes.
const FLOOD: usize = 60_000;

/// Logs lines that are nobody's until the ring has run over.
fn flood(netns: &Netns) {
    netns.bring_lo_up();
    nft(netns, "add table inet flood");
    nft(netns, "add chain inet flood out { type filter hook output priority 0 ; }");
    let log = format!("log prefix \"{}\" drop", unique("flood"));
    nft(netns, &format!("add rule inet flood out udp dport 9 {log}"));
    netns.run(|| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        for _ in 0..FLOOD {
            // The rule drops it after it was logged, which is an error for whoever sends.
            let _ = socket.send_to(b"x", (Ipv4Addr::LOCALHOST, 9));
        }
    });
}

#[test]
fn lines_that_were_overwritten_are_missed_from_the_last_to_the_first_that_was_read() {
    let (netns, noise) = (Netns::new("gapring"), Netns::new("gapnoise"));
    let mut configuration = Configuration::auditing(&[netns.name()]);
    configuration.writer = "agent".to_owned();
    let agent = Agent::start(Path::new(ANETCOND), configuration);
    agent.wait_audited(1);
    let talk = Loopback::of(&netns);
    let started = Timestamp::now();
    talk.connect();
    let written = || agent.status()["log"]["nat_lines"].as_u64().unwrap_or(0);
    anetcon_testkit::netns::wait_until(
        "the line is in its file",
        std::time::Duration::from_secs(20),
        || written() == 1,
    );
    let read = Timestamp::now();
    agent.signal(Signal::SIGSTOP);
    flood(&noise);
    let flooded = Timestamp::now();
    agent.signal(Signal::SIGCONT);
    let gap = wait_for(&agent, "kernel-lines-lost", started, 1).remove(0);
    assert_eq!((&gap["channels"], &gap["namespace"]), (&json!(["kernel-log"]), &json!(null)));
    assert!(gap["lost"].as_u64().is_some_and(|lost| lost > 1000), "{gap:#}");
    assert_between(&gap, "from", started, read);
    assert_between(&gap, "to", read, flooded);
    assert!(time(&gap, "to") > read, "{gap:#}");
}
