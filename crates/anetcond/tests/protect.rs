//! Protected tables: nobody wipes them, they outlive the agent, and a change of the protection costs no line.
#![allow(clippy::disallowed_methods, reason = "tests start the programs they compare with")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not right")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

mod gaps_kit;
mod records_kit;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::loopback::Loopback;
use anetcon_testkit::netns::{Netns, wait_until};
use anetcon_testkit::ruleset::{listing, table};
use jiff::Timestamp;
use records_kit::*;

fn protected(netns: &Netns, protect: &str) -> Agent {
    auditing(&[netns], |configuration| configuration.protect = protect.to_owned())
}

/// What the kernel says of our table: its flags.
fn flags(netns: &Netns, agent: &Agent) -> String {
    let table = listing(netns, &agent.configuration().table);
    let flags = table.lines().find(|line| line.trim_start().starts_with("flags")).unwrap_or("");
    flags.split('#').next().unwrap_or_default().trim().to_owned()
}

fn our_table(netns: &Netns, agent: &Agent) -> Option<serde_json::Value> {
    table(netns, &agent.configuration().table)
}

/// The protection that the agent tells of a namespace.
fn told(agent: &Agent, name: &str) -> String {
    agent.get(&format!("/v1/namespaces/{name}"))["namespace"]["protection"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Repeats a test in which others overran the kernel's ring, which all tests share: nothing was shown then.
fn undisturbed(test: impl Fn() -> bool) {
    assert!((0..5).any(|_| test()), "the kernel log was overrun five times");
}

/// Ends the test if a connection lacks its line, or has more than `most`. `false`: the kernel log was overrun.
fn is_logged(agent: &Agent, netns: &Netns, marks: &[String], most: usize) -> bool {
    // Another listener, so that no connection before can have had the same ports.
    let last = Loopback::of(netns).connect();
    let lines = wait_until("the last connection has its line", PATIENCE, || {
        let lines = agent.log_lines("nat");
        lines.iter().any(|line| line.contains(&last)).then_some(lines)
    });
    // Told by whichever run noticed it: the status only knows the last one.
    if agent.stderr().contains("kernel log records were overwritten") {
        return false;
    }
    for mark in marks {
        // A port may come round again, and then be taken for the same connection by the kernel.
        let times = marks.iter().filter(|other| *other == mark).count();
        let told = lines.iter().filter(|line| line.contains(mark)).count();
        assert!((1..=times * most).contains(&told), "{told} lines with {mark} of {}", marks.len());
    }
    true
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes connections in the namespace until `work` is done.
fn while_connecting(netns: &Netns, work: impl FnOnce()) -> Vec<String> {
    let done = AtomicBool::new(false);
    let loopback = Loopback::of(netns);
    thread::scope(|scope| {
        // Slow enough for the kernel's ring.
        let more = |_| {
            thread::sleep(Duration::from_micros(500));
            !done.load(Ordering::Relaxed)
        };
        let loopback = &loopback;
        let traffic = scope.spawn(move || loopback.connect_while(more));
        let guard = Done(&done);
        work();
        drop(guard);
        traffic.join().unwrap()
    })
}

#[test]
fn a_thousand_flushes_under_traffic_cost_no_line() {
    undisturbed(a_thousand_flushes);
}

fn a_thousand_flushes() -> bool {
    let netns = Netns::new("profl");
    let agent = protected(&netns, "auto");
    assert_eq!(told(&agent, netns.name()), "persistent");
    let start = Timestamp::now();
    let marks = while_connecting(&netns, || {
        // One process does all of them: starting one takes longer than a flush.
        let script = "flush ruleset\n".repeat(1000);
        let mut nft =
            netns.command("nft").arg("-i").stdin(std::process::Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(nft.stdin.as_mut().unwrap(), script.as_bytes()).unwrap();
        drop(nft.stdin.take());
        assert!(nft.wait().unwrap().success());
    });
    assert!(marks.len() > 10, "{} connections", marks.len());
    if !is_logged(&agent, &netns, &marks, 1) {
        return false;
    }
    assert_eq!(agent.status()["repairs"]["total"], 0);
    let gaps = gaps_kit::gaps(&agent, &["--from", &start.to_string()]);
    assert!(gaps.complete, "{:#?}", gaps.gaps);
    true
}

#[test]
fn everybody_else_is_refused() {
    let netns = Netns::new("prorefuse");
    let agent = protected(&netns, "on");
    let before = our_table(&netns, &agent).unwrap();
    for words in ["delete table", "flush table"] {
        let name = &agent.configuration().table;
        let output = netns.command("nft").arg(format!("{words} inet {name}")).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains("Operation not permitted"));
    }
    assert_eq!(our_table(&netns, &agent), Some(before));
}

#[test]
fn the_table_stays_when_the_agent_is_killed_and_is_claimed_without_a_gap() {
    undisturbed(kills_under_traffic);
}

fn kills_under_traffic() -> bool {
    let netns = Netns::new("prokill");
    let mut agent = protected(&netns, "auto");
    let start = Timestamp::now();
    let marks = while_connecting(&netns, || {
        for _ in 0..5 {
            agent.kill();
            assert!(our_table(&netns, &agent).is_some());
            agent.start_again();
            agent.wait_audited(1);
        }
    });
    if !is_logged(&agent, &netns, &marks, 1) {
        return false;
    }
    assert!(flags(&netns, &agent).contains("owner"), "{}", flags(&netns, &agent));
    let gaps = gaps_kit::gaps(&agent, &["--from", &start.to_string()]).gaps;
    let of_lines = |gap: &&serde_json::Value| gap["channels"][0] == "kernel-log";
    assert_eq!(gaps.iter().find(of_lines), None);
    true
}

#[test]
fn a_table_that_was_wiped_while_no_agent_owned_it_is_missed() {
    let netns = Netns::new("proorphan");
    let mut agent = protected(&netns, "auto");
    let before = Timestamp::now();
    agent.kill();
    let killed = Timestamp::now();
    run(&netns, "nft", &["flush", "ruleset"]);
    assert_eq!(our_table(&netns, &agent), None, "an orphan is anybody's");
    agent.start_again();
    agent.wait_audited(1);
    let gap = gaps_kit::wait_for(&agent, "agent-down", before, 1).remove(0);
    assert_eq!(gap["channels"], serde_json::json!(["kernel-log"]));
    gaps_kit::assert_between(&gap, "from", before, killed);
}

#[test]
fn a_stop_removes_a_protected_table() {
    let netns = Netns::new("prostop");
    let mut agent = protected(&netns, "on");
    assert!(our_table(&netns, &agent).is_some());
    assert!(agent.stop().success());
    assert_eq!(our_table(&netns, &agent), None);
}

#[test]
fn another_protection_takes_effect_without_losing_a_line() {
    undisturbed(conversions_under_traffic);
}

fn conversions_under_traffic() -> bool {
    let netns = Netns::new("prochange");
    let mut agent = protected(&netns, "off");
    let start = Timestamp::now();
    let marks = while_connecting(&netns, || {
        for _ in 0..20 {
            for (protect, flag) in [("on", "owner"), ("off", ""), ("auto", "owner")] {
                reload(&mut agent, |configuration| configuration.protect = protect.to_owned());
                assert!(flags(&netns, &agent).contains(flag));
            }
        }
    });
    // While one table takes the place of another a packet in flight can meet both: twice rather than not at all.
    if !is_logged(&agent, &netns, &marks, 2) {
        return false;
    }
    let gaps = gaps_kit::gaps(&agent, &["--from", &start.to_string()]);
    assert!(gaps.complete, "{:#?}", gaps.gaps);
    true
}

#[test]
fn a_namespace_is_not_held_by_the_socket_that_owns_its_table() {
    let netns = Netns::new("progone");
    let agent = protected(&netns, "on");
    let witness = netns.witness();
    drop(netns);
    wait_until("the kernel frees the namespace", PATIENCE, || witness.saw_it_freed());
    agent.wait_audited(0);
}

#[test]
fn the_root_namespace_is_protected_only_if_that_is_asked_for() {
    let root = Netns::new("proroot");
    for (protect, expected) in [("auto", "plain"), ("on", "persistent")] {
        let mut agent = prepared(&[], |configuration| {
            configuration.namespaces = vec!["default".to_owned()];
            configuration.protect = protect.to_owned();
        });
        agent.run_inside(&root);
        agent.start_again();
        agent.wait_audited(1);
        assert_eq!(told(&agent, "default"), expected);
        assert_eq!(flags(&root, &agent).contains("owner"), expected != "plain");
        agent.stop();
    }
}

#[test]
fn a_saved_ruleset_can_be_loaded_beside_a_plain_table() {
    let netns = Netns::new("prosaved");
    let agent = protected(&netns, "off");
    let saved = run(&netns, "nft", &["list", "ruleset"]);
    let file = agent.folder().join("saved.nft");
    std::fs::write(&file, &saved).unwrap();
    run(&netns, "nft", &["-f", file.to_str().unwrap()]);
    wait_until("our rules stand alone again", PATIENCE, || {
        agent.status()["repairs"]["total"].as_u64() > Some(0)
    });
}
