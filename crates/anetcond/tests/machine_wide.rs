//! net.netfilter.nf_log_all_netns is one setting for the whole machine: the agent keeps it at 1, says so when it
//! cannot, and the last agent puts the old value back.
//!
//! The only test that may set it to 0, and each time for milliseconds. Everything is one test, because two at
//! once would change the setting under each other.

#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]
#![allow(clippy::panic, reason = "a test ends where something is wrong")]

mod gaps_kit;
mod watcher;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anetcon_api::Happening;
use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::netns::{require_root, unique, wait_until};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::gaps_kit::{assert_between, wait_for};
use self::watcher::{events, subscribed};

const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// Ends a broken test.
const PATIENCE: Duration = Duration::from_secs(20);

const PATH: &str = "/proc/sys/net/netfilter/nf_log_all_netns";

#[test]
fn the_setting_is_kept_and_put_back() {
    require_root();
    let scenarios: &[(&str, fn())] = &[
        ("one agent sets, keeps and restores it", one_agent),
        ("an agent that found it on leaves it on", found_on),
        ("the last of two agents restores it, the first one being last", || last_restores(0)),
        ("the last of two agents restores it, the second one being last", || last_restores(1)),
        ("a killed agent's claim does not linger", killed),
        ("an agent that cannot set it says so", read_only),
    ];
    let _old = Old::kept();
    for (what, scenario) in scenarios {
        eprintln!("{what}");
        undisturbed(*scenario);
    }
}

fn one_agent() {
    let mut agent = started_at_zero();
    let first = setting(&agent);
    let wanted = json!({"value": 1, "ok": true, "set_by_us": true, "resets": 0, "error": null});
    assert_eq!(first, wanted);
    let mut told = events(subscribed(&agent.socket()));
    for resets in 1_u64..=3 {
        let before = Timestamp::now();
        set(0);
        let after = Timestamp::now();
        wait_until("the agent sets it back", PATIENCE, is_on);
        let gap = wait_for(&agent, "nf-log-off", before, 1).remove(0);
        assert_eq!(gap["channels"], json!(["kernel-log"]));
        assert_between(&gap, "from", before, after);
        assert_between(&gap, "to", before, Timestamp::now());
        wait_until("the reset is counted", Duration::from_secs(5), || {
            setting(&agent)["resets"] == resets
        });
        let event = told.next().expect("an event");
        let wanted = Happening::NfLogAllNetns { value: Some(1), ok: true, error: None };
        assert_eq!(event.happening, wanted);
    }
    let sentence = "nf_log_all_netns was set to 0 and is 1 again";
    assert_eq!(agent.stderr().matches(sentence).count(), 3, "{}", agent.stderr());
    assert!(agent.stop().success());
    assert!(!is_on(), "the old value comes back");
}

fn found_on() {
    set(1);
    let mut agent = prepared();
    agent.start_again();
    assert_eq!(setting(&agent)["set_by_us"], false);
    assert!(agent.stop().success());
    assert!(is_on(), "what was on stays on");
}

fn last_restores(last: usize) {
    let mut agents = [started_at_zero(), prepared()];
    agents[1].start_again();
    assert_eq!(setting(&agents[1])["set_by_us"], true, "as much as the first one did");
    assert!(agents[1 - last].stop().success());
    assert!(is_on(), "the other one still needs it");
    // Not even for a moment, after which the other one would have set it again.
    assert_eq!(setting(&agents[last])["resets"], 0);
    assert!(agents[last].stop().success());
    assert!(!is_on(), "the old value comes back");
}

fn killed() {
    let mut agents = [started_at_zero(), prepared()];
    agents[1].start_again();
    agents[0].kill();
    assert!(is_on());
    assert!(agents[1].stop().success());
    assert!(!is_on(), "the old value comes back");
}

/// The setting is read-only, as systemd's ProtectKernelTunables makes it.
const SEALED: &str = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && exec \"$@\"";

fn read_only() {
    set(1);
    let mut agent = prepared();
    agent.launch_with(&["unshare", "--mount", "sh", "-c", SEALED, PATH]);
    agent.start_again();
    assert_eq!(agent.status()["verdict"], json!({"ok": true, "problems": []}));

    set(0);
    let status = agent
        .wait_for_status("the agent notices", |status| status["nf_log_all_netns"]["ok"] == false);
    set(1);
    assert_eq!(status["verdict"]["ok"], false);
    let problem = status["verdict"]["problems"][0].as_str().expect("a problem");
    for part in ["lines are being lost", "is not 1", "read-only"] {
        assert!(problem.contains(part), "{part} is missing in: {problem}");
    }
    agent.wait_for_status("all is well again", |status| status["verdict"]["ok"] == true);
    assert!(agent.stop().success());

    set(0);
    agent.start_again();
    let status = agent.status();
    set(1);
    assert_eq!(status["verdict"]["ok"], false, "{status:#}");
    assert_eq!(status["nf_log_all_netns"]["set_by_us"], false, "{status:#}");
    assert!(agent.stop().success());
    assert!(is_on(), "what it could not set it does not set back");
}

/// An agent that audits nothing and has nothing to do with the kernel log.
fn prepared() -> Agent {
    let mut configuration = Configuration::auditing(&[&unique("setting")]);
    configuration.writer = "rsyslog".to_owned();
    Agent::prepared(Path::new(ANETCOND), configuration)
}

/// An agent that found the setting at 0 and has changed that already.
fn started_at_zero() -> Agent {
    let mut agent = prepared();
    set(0);
    agent.start_again();
    assert!(is_on(), "an agent that answers has set it");
    agent
}

fn setting(agent: &Agent) -> Value {
    agent.status()["nf_log_all_netns"].clone()
}

fn is_on() -> bool {
    fs::read_to_string(PATH).expect("the setting can be read").trim() == "1"
}

fn set(value: u8) {
    fs::write(PATH, format!("{value}\n")).expect("the setting can be written");
}

/// Puts the machine's own value back, whatever happens.
struct Old(String);

impl Old {
    fn kept() -> Self {
        Self(fs::read_to_string(PATH).expect("the setting can be read"))
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        fs::write(PATH, &self.0).expect("the setting can be written");
    }
}

/// How often a scenario is tried, if other agents of this machine come in between.
const ATTEMPTS: usize = 30;

/// Runs a scenario while no other agent runs: one would set the setting back, and keep it.
fn undisturbed(scenario: fn()) {
    for attempt in 1..=ATTEMPTS {
        let what = "no other agent runs on this machine (stop anetcon.service for this test)";
        wait_until(what, Duration::from_secs(60), || !others());
        let (done, disturbed) = (AtomicBool::new(false), AtomicBool::new(false));
        let outcome = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    disturbed.fetch_or(others(), Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                // After each scenario the machine can log again, also when it failed.
                let _on = Old("1\n".to_owned());
                scenario();
            }));
            done.store(true, Ordering::Relaxed);
            outcome
        });
        match outcome {
            Ok(()) => return,
            Err(_) if disturbed.load(Ordering::Relaxed) && attempt < ATTEMPTS => {
                eprintln!("another agent came in between: once more");
            }
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Whether an agent runs that is no child of this test: agents show themselves by sockets with their process id.
fn others() -> bool {
    let sockets = fs::read_to_string("/proc/net/unix").expect("sockets are listed");
    let marker = format!("@anetcon{PATH}/was=");
    let claims = sockets.lines().filter_map(|line| line.split_once(&marker));
    let pids =
        claims.filter_map(|(_, claim)| claim.split_once('/')?.1.split_once('-')?.0.parse().ok());
    pids.filter_map(parent_of).any(|parent| parent != std::process::id())
}

/// `None`: the process has ended.
fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
