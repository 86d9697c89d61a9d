//! The ledger as an operator reads it, and times that are compared with those that the test knows.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not right")]
#![allow(clippy::disallowed_methods, reason = "the ledger is read as an operator reads it")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::netns::wait_until;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Ends a broken test.
const PATIENCE: Duration = Duration::from_secs(20);

/// How far the account may be from the truth.
pub const EXACT: SignedDuration = SignedDuration::from_millis(50);

/// What `anetconctl gaps` says: whether it is complete, its sentence, and the gaps.
pub struct Told {
    pub complete: bool,
    pub sentence: String,
    pub gaps: Vec<Value>,
}

pub fn gaps(agent: &Agent, arguments: &[&str]) -> Told {
    let tool = Path::new(env!("CARGO_BIN_EXE_anetcond")).with_file_name("anetconctl");
    let output = Command::new(tool)
        .args(["gaps", "--json", "--config"])
        .arg(agent.configuration_path())
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let gaps = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sentence = String::from_utf8(output.stderr).unwrap();
    let complete = match output.status.code() {
        Some(0) => true,
        Some(1) => false,
        other => panic!("{other:?}: {sentence}"),
    };
    Told { complete, sentence, gaps }
}

/// The gaps of a cause that begin after a time; at least `count` of them are waited for.
pub fn wait_for(agent: &Agent, cause: &str, after: Timestamp, count: usize) -> Vec<Value> {
    let after = format!("{after:.6}");
    wait_until(&format!("{count} gaps are told as {cause}"), PATIENCE, || {
        let fits = |gap: &Value| {
            gap["cause"] == cause && gap["to"].is_string() && gap["to"].as_str() > Some(&after)
        };
        let found: Vec<Value> = gaps(agent, &[]).gaps.into_iter().filter(fits).collect();
        (found.len() >= count).then_some(found)
    })
}

pub fn time(gap: &Value, key: &str) -> Timestamp {
    gap[key].as_str().unwrap_or_else(|| panic!("no {key} in {gap:#}")).parse().unwrap()
}

/// Ends the test if a time of a gap is not between two times, as exactly as is asked for.
pub fn assert_between(gap: &Value, key: &str, from: Timestamp, to: Timestamp) {
    let told = time(gap, key);
    assert!(from - EXACT <= told && told <= to + EXACT, "{key} not in {from} to {to}: {gap:#}");
}
