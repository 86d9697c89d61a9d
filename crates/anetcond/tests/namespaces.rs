//! Namespaces come and go: each is audited as soon as it is there, and let go as soon as it is not.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![allow(clippy::disallowed_methods, reason = "tests start the programs they compare with")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::loopback::Loopback;
use anetcon_testkit::netns::{DIRECTORY, Netns, prepare_directory, unique, wait_until};
use anetcon_testkit::ruleset::{Owner, nft, table};
use serde_json::Value;
use tempfile::TempDir;

const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// Ends a broken test; nothing here takes anywhere near as long.
const PATIENCE: Duration = Duration::from_secs(20);

fn start(configuration: Configuration) -> Agent {
    Agent::start(Path::new(ANETCOND), configuration)
}

/// An agent that audits everything in a folder that only this test uses.
fn watching(folder: &Path) -> Agent {
    start(configuration_for(folder))
}

fn configuration_for(folder: &Path) -> Configuration {
    let mut configuration = Configuration::auditing(&[".*"]);
    configuration.namespace_directories = vec![folder.to_owned()];
    configuration
}

fn is_audited(agent: &Agent, netns: &Netns) -> bool {
    table(netns, &agent.configuration().table).is_some()
}

#[test]
fn a_new_namespace_is_audited_from_its_first_connection_on() {
    let name = unique("new");
    let agent = start(Configuration::auditing(&[&name]));
    agent.wait_audited(0);
    let netns = Netns::named(&name);
    agent.wait_audited(1);
    let loopback = Loopback::of(&netns);
    let (first, last) = (loopback.connect(), loopback.connect());
    let lines = wait_until("the last connection is logged", PATIENCE, || {
        let lines = agent.log_lines("nat");
        lines.iter().any(|line| line.contains(&last)).then_some(lines)
    });
    assert_eq!(lines.iter().filter(|line| line.contains(&first)).count(), 1, "{lines:#?}");
}

#[test]
fn the_folder_may_come_later() {
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("not/yet");
    let agent = watching(&folder);
    agent.wait_audited(0);
    fs::create_dir_all(&folder).unwrap();
    let netns = Netns::in_directory(&folder, "late");
    agent.wait_audited(1);
    assert!(is_audited(&agent, &netns));
}

#[test]
fn a_deleted_namespace_is_let_go_at_once() {
    let (stays, goes) = (Netns::new("stays"), Netns::new("goes"));
    let agent = start(Configuration::auditing(&[stays.name(), goes.name()]));
    agent.wait_audited(2);
    let inode = fs::metadata(goes.path()).unwrap().ino();
    let freed = goes.witness();
    drop(goes);
    agent.wait_audited(1);
    wait_until("the kernel frees the namespace", PATIENCE, || freed.saw_it_freed());
    let held = format!("net:[{inode}]");
    assert!(!agent.open_files().contains(&held), "{held} in {:#?}", agent.open_files());
    assert!(is_audited(&agent, &stays), "the other one is as it was");
    assert_eq!(agent.status()["verdict"]["problems"].to_string().matches("audited").count(), 0);
}

#[test]
fn a_name_made_again_and_again_ends_audited() {
    let name = unique("again");
    let agent = start(Configuration::auditing(&[&name]));
    let mut netns = Netns::named(&name);
    let first = netns.witness();
    for _ in 0..50 {
        drop(netns);
        netns = Netns::named(&name);
    }
    wait_until("the newest one is audited", PATIENCE, || is_audited(&agent, &netns));
    let cookie = netns.run(|| anetcon_nft::RulesSocket::open().unwrap().cookie().unwrap());
    agent.wait_audited(1);
    let detail = agent.get(&format!("/v1/namespaces/{name}"));
    assert_eq!(detail["namespace"]["cookie"], cookie.to_string(), "{detail:#}");
    wait_until("the first one is freed", PATIENCE, || first.saw_it_freed());
    assert!(!agent.stderr().contains("ERROR"), "nothing of it is an error: {}", agent.stderr());
}

/// Names in the folder of ip(8), removed with it at the end.
struct Batch(Vec<String>);

impl Batch {
    fn new(count: usize) -> Self {
        prepare_directory();
        let tag = unique("many");
        let batch = Self((0..count).map(|number| format!("{tag}-{number}")).collect());
        assert!(batch.ip("add"), "ip cannot make {count} namespaces");
        batch
    }

    fn ip(&self, action: &str) -> bool {
        let lines: String = self.0.iter().map(|name| format!("netns {action} {name}\n")).collect();
        let mut child = Command::new("ip")
            .args(["-force", "-batch", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        child.wait().unwrap().success()
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.0.retain(|name| Path::new(DIRECTORY).join(name).exists());
        if !self.0.is_empty() {
            self.ip("del");
        }
    }
}

#[test]
fn two_hundred_at_once_are_audited_and_let_go() {
    const COUNT: usize = 200;
    let mut configuration = Configuration::auditing(&[]);
    configuration.namespaces = vec![format!("^at-many-{}-", std::process::id())];
    let agent = start(configuration);
    agent.wait_audited(0);
    let before = agent.open_files().len();

    let batch = Batch::new(COUNT);
    agent.wait_audited(COUNT as u64);
    let table = &agent.configuration().table;
    for name in batch.0.iter().step_by(20) {
        let listed = Command::new("ip")
            .args(["netns", "exec", name, "nft", "list", "table", "inet", table])
            .output()
            .unwrap();
        let listing = String::from_utf8_lossy(&listed.stdout);
        assert!(listing.contains("anetcon nat"), "in {name}: {listing}");
    }

    assert!(batch.ip("del"));
    agent.wait_audited(0);
    wait_until("every file of theirs is closed", PATIENCE, || agent.open_files().len() <= before);
    assert_eq!(agent.status()["namespaces"]["failed"], 0);
    assert!(!agent.stderr().contains("ERROR"), "nothing of it is an error: {}", agent.stderr());
}

/// The one namespace that is not audited, as the status shows it.
fn wait_for_failure(agent: &Agent) -> Value {
    let status = agent.wait_for_status("a namespace fails", |status| {
        status["namespaces"]["failed"] == 1 && status["namespaces"]["audited"] == 1
    });
    assert_eq!(status["verdict"]["ok"], false, "{status:#}");
    let problems = status["verdict"]["problems"].to_string();
    assert!(problems.contains("1 of 2 namespaces are not audited"), "{problems}");
    status["failed"][0].clone()
}

/// A folder with a namespace and a plain file in it, and the agent that watches it.
fn beside_a_plain_file(period: u64) -> (TempDir, Netns, Agent) {
    let folder = tempfile::tempdir().unwrap();
    let netns = Netns::in_directory(folder.path(), "netns");
    fs::write(folder.path().join("plain"), "").unwrap();
    let mut configuration = configuration_for(folder.path());
    configuration.period = period;
    let agent = start(configuration);
    let failed = wait_for_failure(&agent);
    assert_eq!(failed["name"], "plain", "{failed}");
    let error = failed["error"].as_str().unwrap();
    let path = folder.path().join("plain");
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    assert!(error.contains("is not a network namespace"), "{error}");
    (folder, netns, agent)
}

#[test]
fn a_plain_file_fails_alone_until_it_is_gone() {
    let (folder, netns, agent) = beside_a_plain_file(1);
    assert!(is_audited(&agent, &netns));
    fs::remove_file(folder.path().join("plain")).unwrap();
    agent.wait_audited(1);
}

/// Unmounts what a test has mounted.
struct Mounted(std::path::PathBuf);

impl Mounted {
    /// Puts the namespace under another name, without a sign of it in that name's folder.
    fn over(path: &Path, netns: &Netns) -> Self {
        let status = Command::new("mount").arg("--bind").args([netns.path(), path]).status();
        assert!(status.unwrap().success(), "cannot mount over {}", path.display());
        Self(path.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // An error means that it is unmounted already.
        drop(Command::new("umount").arg(&self.0).stderr(Stdio::null()).status());
    }
}

#[test]
fn a_plain_file_that_becomes_a_namespace_is_audited() {
    let (folder, _netns, agent) = beside_a_plain_file(3600);
    let other = Netns::new("mounted");
    let _mounted = Mounted::over(&folder.path().join("plain"), &other);
    agent.wait_audited(2);
    assert!(is_audited(&agent, &other));
}

#[test]
fn the_sweep_finds_a_namespace_that_took_the_place_of_another() {
    let (folder, other) = (tempfile::tempdir().unwrap(), Netns::new("over"));
    let netns = Netns::in_directory(folder.path(), "netns");
    let mut configuration = configuration_for(folder.path());
    configuration.period = 1;
    let agent = start(configuration);
    agent.wait_audited(1);
    // The file is neither made nor removed, and nothing was waiting for a mount on it: no event tells.
    let mounted = Mounted::over(netns.path(), &other);
    wait_until("the new one is audited", PATIENCE, || is_audited(&agent, &other));
    drop(mounted);
    nft(&netns, "flush ruleset");
    wait_until("the old one is audited again", PATIENCE, || is_audited(&agent, &netns));
}

#[test]
fn a_table_that_another_program_owns_fails_alone_and_recovers() {
    let (free, owned) = (Netns::new("free"), Netns::new("owned"));
    let configuration = Configuration::auditing(&[free.name(), owned.name()]);
    let owner = Owner::of(&owned, &configuration.table);
    let agent = start(configuration);
    let failed = wait_for_failure(&agent);
    assert_eq!(failed["name"], owned.name(), "{failed}");
    let error = failed["error"].as_str().unwrap();
    for part in ["table", &agent.configuration().table, "not permitted"] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    let told = agent.stderr().matches("namespace is not audited").count();
    assert_eq!(told, 1, "{}", agent.stderr());

    drop(owner);
    agent.wait_audited(2);
    assert!(is_audited(&agent, &owned));
    assert!(agent.stderr().contains("audited again"), "{}", agent.stderr());
}

#[test]
fn default_is_the_namespace_the_agent_runs_in() {
    let netns = Netns::new("root");
    let mut configuration = Configuration::auditing(&[]);
    configuration.namespaces = vec!["default".into()];
    let mut agent = Agent::prepared(Path::new(ANETCOND), configuration);
    agent.run_inside(&netns);
    agent.start_again();
    let status = agent.wait_audited(1);
    assert!(is_audited(&agent, &netns));
    let loopback = Loopback::of(&netns);
    loopback.connect();
    assert_eq!(agent.status()["connections"]["nat"], 1);

    // The setting is not to be seen from here.
    assert_eq!(status["verdict"]["ok"], false, "{status:#}");
    let worst = status["verdict"]["problems"][0].as_str().unwrap();
    assert!(worst.starts_with("lines are being lost: net.netfilter.nf_log_all_netns"), "{worst}");
    assert_eq!(status["nf_log_all_netns"]["value"], Value::Null);
    assert!(agent.stop().success());
    assert!(!is_audited(&agent, &netns));
}
