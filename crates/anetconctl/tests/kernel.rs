//! `diff` and `purge` without an agent, on the real kernel; nft(8) writes the rules and reads them back.
//!
//! Each test has a folder of namespaces and a table name of its own: `purge` also looks into the root
//! namespace, and must find nothing of ours there.

mod common;

use std::path::Path;

use anetcon_testkit::netns::{Netns, unique};
use common::{Agent, Answer, Ran, ran, status, tool, write};
use serde_json::Value;

/// A folder with two namespaces, one of them selected, and a configuration that knows no others.
struct Scene {
    folder: tempfile::TempDir,
    table: String,
    selected: Netns,
    other: Netns,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let table = unique("ctl").replace('-', "_");
        let namespaces = folder.path().join("netns");
        std::fs::create_dir(&namespaces).expect("a folder");
        let text = format!(
            "namespaces = [\"^router$\"]\nnamespace_directories = [{namespaces:?}]\n\
             [rules]\ntable = \"{table}\"\n[control]\nsocket = {:?}\n",
            folder.path().join("fake.sock"),
        );
        write(folder.path(), "anetcon.toml", &text);
        let selected = Netns::in_directory(&namespaces, "router");
        let other = Netns::in_directory(&namespaces, "other");
        Self { folder, table, selected, other }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = tool(arguments);
        command.arg("-c").arg(self.path("anetcon.toml"));
        ran(command)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        let folder: &Path = self.folder.path();
        folder.join(name)
    }

    /// Put the rules in force by giving nft(8) what the diff says is wanted.
    fn enforce(&self) {
        let differing = self.run(&["diff", "router", "--json"]);
        let document: Value = serde_json::from_str(&differing.stdout).expect("JSON");
        let text = document.pointer("/namespaces/0/text").and_then(Value::as_str).expect("text");
        let wanted: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix('+')).collect();
        let file = write(self.folder.path(), "wanted.nft", &(wanted.join("\n") + "\n"));
        nft(&self.selected, &["-f", &file.to_string_lossy()]);
    }
}

fn nft(netns: &Netns, arguments: &[&str]) -> String {
    let mut command = netns.command("nft");
    command.args(arguments);
    let ran = ran(command);
    assert_eq!(ran.code, Some(0), "nft {arguments:?}: {ran:?}");
    ran.stdout
}

fn tables(netns: &Netns) -> String {
    nft(netns, &["list", "tables"])
}

#[test]
fn a_diff_can_be_fed_to_nft_and_is_empty_then() {
    let scene = Scene::new();
    let differing = scene.run(&["diff"]);
    assert_eq!(differing.code, Some(1), "{differing:?}");
    assert!(differing.stdout.starts_with("router: differs\n+table inet"), "{differing:?}");
    scene.enforce();
    let fine = scene.run(&["diff"]);
    assert_eq!(fine.stdout, "1 namespace holds exactly what is wanted.\n", "{fine:?}");
    assert_eq!(fine.code, Some(0));

    nft(&scene.selected, &["flush", "chain", "inet", &scene.table, "anetcon"]);
    let flushed = scene.run(&["diff", "router"]);
    assert_eq!(flushed.code, Some(1), "{flushed:?}");
    assert!(flushed.stdout.contains("\n+\t\tmeta l4proto tcp"), "{flushed:?}");
    assert!(flushed.stdout.contains("\n \tchain anetcon {"), "{flushed:?}");
}

#[test]
fn a_diff_of_what_is_not_selected_wants_nothing_there() {
    let scene = Scene::new();
    assert_eq!(scene.run(&["diff", "other"]).code, Some(0));
    nft(&scene.other, &["add", "table", "inet", &scene.table]);
    let left_behind = scene.run(&["diff", "other"]);
    assert_eq!(left_behind.code, Some(1), "{left_behind:?}");
    assert!(
        left_behind.stdout.contains(&format!("-table inet {}", scene.table)),
        "{left_behind:?}"
    );
    let absent = scene.run(&["diff", "absent"]);
    assert_eq!(absent.code, Some(1));
    assert_eq!(absent.stderr, "anetconctl: there is no namespace absent\n");
}

#[test]
fn purge_removes_our_table_everywhere_and_nothing_else() {
    let scene = Scene::new();
    scene.enforce();
    nft(&scene.other, &["add", "table", "inet", &scene.table]);
    nft(&scene.other, &["add", "table", "ip", &scene.table]);
    nft(&scene.selected, &["add", "table", "inet", "theirs"]);
    // A file on which nothing is mounted: `ip netns add` makes one a moment before the namespace.
    write(&scene.path("netns"), "unborn", "");

    let dry = scene.run(&["purge", "--dry-run"]);
    assert_eq!((dry.code, dry.stderr.as_str()), (Some(0), ""), "{dry:?}");
    let expected = format!(
        "other: would be removed\nrouter: would be removed\n\
         Table inet {} would be removed in 2 of 4 namespaces.\n",
        scene.table
    );
    assert_eq!(dry.stdout, expected);
    assert!(tables(&scene.selected).contains(&scene.table));

    let purged = scene.run(&["purge", "--json"]);
    assert_eq!(purged.code, Some(0), "{purged:?}");
    let document: Value = serde_json::from_str(&purged.stdout).expect("JSON");
    assert_eq!(document["namespaces"].as_array().map(Vec::len), Some(2));
    assert_eq!(document["namespaces"][0]["removed"], true);
    assert_eq!(tables(&scene.selected), "table inet theirs\n");
    assert_eq!(tables(&scene.other), format!("table ip {}\n", scene.table));
}

#[test]
fn purge_takes_another_table_by_name() {
    let scene = Scene::new();
    let renamed = format!("{}_old", scene.table);
    nft(&scene.selected, &["add", "table", "inet", &scene.table]);
    nft(&scene.selected, &["add", "table", "inet", &renamed]);
    assert_eq!(scene.run(&["purge", "--table", &renamed]).code, Some(0));
    assert_eq!(tables(&scene.selected), format!("table inet {}\n", scene.table));
}

#[test]
fn purge_keeps_off_while_the_agent_runs() {
    let scene = Scene::new();
    nft(&scene.selected, &["add", "table", "inet", &scene.table]);
    for answer in [Answer::json(&status(true)), Answer::refusal(403, "no"), Answer::Hang] {
        let agent = Agent::answering(vec![("GET /v1/status", answer)]);
        let socket = agent.socket();
        let purge = |more: &[&str]| {
            let socket = socket.to_string_lossy();
            scene.run(&[&["purge", "--socket", &socket, "--timeout", "0.2"], more].concat())
        };
        let refused = purge(&[]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("the agent is running and would put"), "{refused:?}");
        assert!(tables(&scene.selected).contains(&scene.table));
        assert_eq!(purge(&["--dry-run"]).code, Some(0));
    }
    let agent = Agent::answering(vec![("GET /v1/status", Answer::json(&status(true)))]);
    let socket = agent.socket();
    let forced = scene.run(&["purge", "--force", "--socket", &socket.to_string_lossy()]);
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert_eq!(tables(&scene.selected), "");
}

#[test]
fn without_privilege_the_kernel_cannot_be_asked() {
    for arguments in [["diff", "router"], ["purge", "--dry-run"]] {
        let refused =
            ran(common::unprivileged(&[&arguments[..], &["--socket", "/nonexistent"]].concat()));
        assert_eq!(refused.code, Some(4), "{refused:?}");
        assert!(refused.stderr.contains("no permission to read the rules"), "{refused:?}");
        assert!(refused.stderr.contains("help: run this as root"), "{refused:?}");
    }
}
