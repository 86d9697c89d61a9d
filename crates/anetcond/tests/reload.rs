//! A reload puts exactly what the file says in force, or, if the file is bad, changes nothing and says why.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::loopback::Loopback;
use anetcon_testkit::netns::{Netns, wait_until};
use anetcon_testkit::ruleset::{Owner, listing, table};
use serde_json::{Value, json};

const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// Ends a broken test; nothing here takes anywhere near as long.
const PATIENCE: Duration = Duration::from_secs(10);

fn auditing(netns: &Netns) -> Agent {
    let agent = Agent::start(Path::new(ANETCOND), Configuration::auditing(&[netns.name()]));
    agent.wait_audited(1);
    agent
}

/// Changes the file and reloads it through the control socket; what the agent answers.
fn reload(agent: &mut Agent, change: impl FnOnce(&mut Configuration)) -> Value {
    agent.configure(change);
    let response = agent.request("POST", "/v1/reload").unwrap();
    assert_eq!(response.code, 200, "{}", response.body);
    serde_json::from_str(&response.body).unwrap()
}

fn select(netns: &Netns) -> impl FnOnce(&mut Configuration) {
    let pattern = format!("^{}$", netns.name());
    move |configuration| configuration.namespaces = vec![pattern]
}

fn is_audited(agent: &Agent, netns: &Netns) -> bool {
    table(netns, &agent.configuration().table).is_some()
}

#[test]
fn the_rules_follow_the_selection() {
    let (one, two) = (Netns::new("one"), Netns::new("two"));
    let mut agent = auditing(&one);

    let answer = reload(&mut agent, select(&two));
    assert_eq!(answer["added"], json!([two.name()]), "{answer}");
    assert_eq!(answer["removed"], json!([one.name()]), "{answer}");
    assert_eq!(answer["file"], agent.configuration_path().to_str().unwrap());
    // When the answer comes it is done.
    assert!(!is_audited(&agent, &one) && is_audited(&agent, &two));
    assert_eq!(agent.status()["namespaces"]["selected"], 1);

    agent.configure(select(&one));
    agent.reload();
    wait_until("SIGHUP does the same", PATIENCE, || {
        is_audited(&agent, &one) && !is_audited(&agent, &two)
    });
    agent.wait_audited(1);
}

#[test]
fn the_namespaces_of_other_folders_take_over() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let in_old = ["same", "old"].map(|name| Netns::in_directory(old.path(), name));
    let in_new = ["same", "new"].map(|name| Netns::in_directory(new.path(), name));
    let mut configuration = Configuration::auditing(&[".*"]);
    configuration.namespace_directories = vec![old.path().to_owned()];
    let mut agent = Agent::start(Path::new(ANETCOND), configuration);
    agent.wait_audited(2);

    let folder = new.path().to_owned();
    reload(&mut agent, |configuration| configuration.namespace_directories = vec![folder]);
    agent.wait_audited(2);
    for netns in &in_new {
        assert!(is_audited(&agent, netns), "{} is audited", netns.path().display());
    }
    for netns in &in_old {
        assert!(!is_audited(&agent, netns), "{} has lost our table", netns.path().display());
    }
    let later = Netns::in_directory(new.path(), "later");
    agent.wait_audited(3);
    assert!(is_audited(&agent, &later), "the new folder is watched");
}

/// What is changed, a part of the rules that shows it, and how the agent's answer names the key.
type Change = (fn(&mut Configuration), &'static str, &'static str);

const CHANGES: &[Change] = &[
    (|c| c.prefix = "[OTHER]".into(), "log prefix \"[OTHER][X][", "log.prefix"),
    (|c| c.prefix_other = "[OUT]".into(), "[OUT][", "log.prefix_other"),
    (|c| c.prefix_dnat = "[IN]".into(), "[IN][", "log.prefix_dnat"),
    (|c| c.namespace_tag = "name".into(), "[at-effect-", "log.namespace"),
    (|c| c.protocols = vec!["tcp".into(), "udp".into()], "udp", "protocols"),
    (|c| c.table = format!("{}_b", c.table), "_b {", "rules.table"),
];

#[test]
fn each_change_takes_effect_and_no_count_falls() {
    let netns = Netns::new("effect");
    let mut agent = auditing(&netns);
    let loopback = Loopback::of(&netns);
    let mut made = 0;
    for (change, part, key) in CHANGES {
        loopback.connect();
        made += 1;
        let old = agent.configuration().table.clone();
        let answer = reload(&mut agent, change);
        let changes = answer["changes"].to_string();
        assert!(changes.contains(key), "no {key} in {changes}");
        let rules = listing(&netns, &agent.configuration().table);
        assert!(rules.contains(part), "no {part} in {rules}");
        if old != agent.configuration().table {
            assert_eq!(table(&netns, &old), None, "the table of the old name is gone");
        }
        assert_eq!(agent.status()["connections"]["nat"], made, "after {key}");
    }
    assert_eq!(agent.status()["repairs"]["total"], 0, "nobody but us changed anything");

    let name = netns.name().to_owned();
    reload(&mut agent, |c| drop(c.networks.insert(name, vec!["10.0.0.0/8".into()])));
    let rules = listing(&netns, &agent.configuration().table);
    assert!(rules.contains("elements = { 10.0.0.0/8 }"), "{rules}");
    loopback.connect();
    assert_eq!(agent.status()["connections"]["nat"], made, "127.0.0.1 is not in 10.0.0.0/8");
}

#[test]
fn another_period_takes_effect() {
    let folder = tempfile::tempdir().unwrap();
    let _netns = Netns::in_directory(folder.path(), "netns");
    let plain = folder.path().join("plain");
    fs::write(&plain, "").unwrap();
    let mut configuration = Configuration::auditing(&[".*"]);
    configuration.namespace_directories = vec![folder.path().to_owned()];
    let mut agent = Agent::start(Path::new(ANETCOND), configuration);
    agent.wait_for_status("a plain file fails", |status| status["namespaces"]["failed"] == 1);

    reload(&mut agent, |configuration| configuration.period = 1);
    assert_eq!(agent.status()["period_seconds"], 1);
    // Only the sweep sees that a file is gone that was no namespace.
    fs::remove_file(plain).unwrap();
    agent.wait_audited(1);
}

#[test]
fn an_unchanged_file_changes_nothing() {
    let netns = Netns::new("same");
    let mut agent = auditing(&netns);
    Loopback::of(&netns).connect();
    let before = table(&netns, &agent.configuration().table);
    let answer = reload(&mut agent, |_| {});
    for list in ["changes", "added", "removed"] {
        assert_eq!(answer[list], json!([]), "{answer}");
    }
    assert_eq!(table(&netns, &agent.configuration().table), before, "not even a handle");
}

#[test]
fn a_bad_file_leaves_everything_in_force() {
    let netns = Netns::new("bad");
    let mut agent = auditing(&netns);
    let before = table(&netns, &agent.configuration().table);
    let file = agent.configuration_path();
    fs::write(&file, "namespaces = [\"(\"]\nperiod = 0\n").unwrap();

    let response = agent.request("POST", "/v1/reload").unwrap();
    assert_eq!(response.code, 422, "{}", response.body);
    let answer: Value = serde_json::from_str(&response.body).unwrap();
    let error = answer["error"]["message"].as_str().unwrap().to_owned();
    let status = agent.status();
    assert_eq!(status["configuration"]["last_error"], error.as_str());
    // All that is wrong, each with its place and a caret, in the answer and in the log alike.
    let file = file.display();
    for part in [&format!("{file}:1:"), &format!("{file}:2:10"), "namespaces = [\"(\"]", "^"] {
        assert!(error.contains(part), "no {part:?} in {error}");
        assert!(agent.stderr().contains(part), "no {part:?} in {}", agent.stderr());
    }
    assert_eq!(status["verdict"]["ok"], false, "{status:#}");
    let problems = status["verdict"]["problems"].to_string();
    assert!(problems.contains("could not be reloaded"), "{problems}");
    assert_eq!(status["period_seconds"], 3600);
    assert_eq!(table(&netns, &agent.configuration().table), before, "the rules are as they were");

    reload(&mut agent, |_| {});
    let status = agent.status();
    assert_eq!(status["configuration"]["last_error"], Value::Null, "{status:#}");
    assert!(!status["verdict"]["problems"].to_string().contains("reloaded"), "{status:#}");
}

#[test]
fn a_file_that_is_gone_is_an_error() {
    let netns = Netns::new("gone");
    let mut agent = auditing(&netns);
    let before = table(&netns, &agent.configuration().table);
    fs::remove_file(agent.configuration_path()).unwrap();
    // Without -c a missing file would mean the defaults, and another selection.
    agent.reload();
    let status = agent.wait_for_status("the reload fails", |status| {
        status["configuration"]["last_error"].is_string()
    });
    let error = status["configuration"]["last_error"].as_str().unwrap();
    let wanted = format!("cannot read the configuration {}", agent.configuration_path().display());
    assert!(error.starts_with(&wanted), "{error}");
    assert_eq!(table(&netns, &agent.configuration().table), before, "the rules are as they were");
    agent.wait_audited(1);
    reload(&mut agent, |_| {});
}

#[test]
fn a_table_that_cannot_be_had_leaves_the_old_one_in_force() {
    let netns = Netns::new("taken");
    let mut agent = auditing(&netns);
    let old = agent.configuration().table.clone();
    let taken = format!("{old}_taken");
    let owner = Owner::of(&netns, &taken);
    agent.configure(|configuration| configuration.table = taken.clone());
    agent.reload();
    agent.wait_for_status("the namespace fails", |status| status["namespaces"]["failed"] == 1);
    assert!(listing(&netns, &old).contains("anetcon nat"), "connections are still logged");

    drop(owner);
    agent.wait_audited(1);
    assert!(listing(&netns, &taken).contains("anetcon nat"));
    wait_until("the old one goes", PATIENCE, || table(&netns, &old).is_none());
}

#[test]
fn reloads_under_traffic_lose_no_connection() {
    // The kernel's ring is shared by all tests. Where one of them overran it, nothing was shown.
    assert!((0..5).any(|_| reload_under_traffic()), "the kernel log was overrun five times");
}

/// Whether the kernel log was ours to read from end to end.
fn reload_under_traffic() -> bool {
    let netns = Netns::new("traffic");
    let mut agent = auditing(&netns);
    let loopback = Loopback::of(&netns);
    let done = AtomicBool::new(false);
    // Slow enough for the kernel's ring, which all tests share, and fast enough to meet every reload.
    let more = |_| {
        thread::sleep(Duration::from_micros(300));
        !done.load(Ordering::Relaxed)
    };
    let made = thread::scope(|scope| {
        let traffic = scope.spawn(|| loopback.connect_while(more));
        for round in 0..40 {
            reload(&mut agent, |configuration| configuration.prefix_other = format!("[{round}]"));
        }
        done.store(true, Ordering::Relaxed);
        traffic.join().unwrap()
    });
    assert!(made.len() > 40, "only {} connections met 40 reloads", made.len());
    assert_eq!(agent.status()["namespaces"]["fighting"], 0, "nobody fights with us");

    // Another listener, so that no connection before can have had the same ports.
    let last = Loopback::of(&netns).connect();
    let lines = wait_until("the last connection is logged", PATIENCE, || {
        let lines = agent.log_lines("nat");
        lines.iter().any(|line| line.contains(&last)).then_some(lines)
    });
    agent.status()["log"]["kernel_lines_lost"] == 0 && {
        for mark in &made {
            // A port may come round again.
            let times = made.iter().filter(|other| *other == mark).count();
            let told = lines.iter().filter(|line| line.contains(mark)).count();
            assert_eq!(told, times, "lines with {mark} in {lines:#?}");
        }
        true
    }
}

/// The administrator's own words stay in files of their own.
#[test]
fn a_drop_in_is_put_over_the_file() {
    let netns = Netns::new("reldrop");
    let mut agent = auditing(&netns);
    let folder = agent.folder().join("anetcon.toml.d");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("50-period.toml");
    fs::write(&file, "period = 77\n").unwrap();
    let told = reload(&mut agent, |_| ());
    assert_eq!(told["changes"], json!(["period: 3600 -> 77"]));
    let status = agent.status();
    assert_eq!(status["period_seconds"], 77);
    assert_eq!(status["configuration"]["drop_ins"], json!([file.display().to_string()]));
}
