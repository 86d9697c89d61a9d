//! What is rotated away under a running agent is listed, and `anetconctl manifest` finds what was done to it since.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not right")]
#![allow(clippy::disallowed_methods, reason = "what an operator would type is typed here")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

mod records_kit;

use std::fs;
use std::path::Path;
use std::process::Command;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::netns::Netns;
use records_kit::*;

/// `anetconctl manifest`: its exit code, and what it printed.
fn manifest(agent: &Agent, arguments: &[&str]) -> (Option<i32>, String) {
    let tool = Path::new(ANETCOND).with_file_name("anetconctl");
    let output = Command::new(tool)
        .arg("--config")
        .arg(agent.configuration_path())
        .arg("manifest")
        .args(arguments)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_rotated_file_is_listed_and_a_changed_byte_is_found() {
    let netns = Netns::new("manifest");
    let agent = auditing(&[&netns], |_| {});
    open(&netns, 0..20);
    settle(&agent, &netns);
    let rotated = file(&agent).with_extension("ndjson.1");
    fs::rename(file(&agent), &rotated).unwrap();
    rotate(&agent);
    let status =
        agent.wait_for_status("the file is listed", |status| status["manifest"]["entries"] == 1);
    let head = status["manifest"]["head"].as_str().unwrap();
    assert!(agent.stderr().contains(head), "the agent's own log tells the head");

    let (code, text) = manifest(&agent, &["verify", "--head", head]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("Intact: 1 rotated files"), "{text}");
    let (code, text) = manifest(&agent, &["list"]);
    assert!(code == Some(0) && text.contains(&format!("head {head}")), "{text}");

    let mut bytes = fs::read(&rotated).unwrap();
    bytes[100] ^= 1;
    fs::write(&rotated, bytes).unwrap();
    let (code, text) = manifest(&agent, &["verify"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("anetcon.sessions.ndjson.1: altered since"), "{text}");
    let (code, text) = manifest(&agent, &["verify", "--head", &"0".repeat(64).replace("00", "ab")]);
    assert!(code == Some(1) && text.contains("the end was cut off"), "{text}");
    let (code, text) = manifest(&agent, &["verify", "--head", "xyz"]);
    assert!(code == Some(2) && text.contains("64 hex digits"), "{text}");
}

#[test]
fn what_was_rotated_while_no_agent_ran_is_listed_late() {
    let netns = Netns::new("manlate");
    let mut agent = auditing(&[&netns], |_| {});
    open(&netns, 0..20);
    settle(&agent, &netns);
    agent.kill();
    let rotated = file(&agent).with_extension("ndjson.1");
    fs::rename(file(&agent), &rotated).unwrap();
    agent.start_again();
    agent.wait_for_status("the file is listed", |status| status["manifest"]["entries"] == 1);
    let (code, text) = manifest(&agent, &["list"]);
    assert!(code == Some(0) && text.contains("listed late"), "{text}");
}
