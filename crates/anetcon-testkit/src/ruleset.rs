//! What nft sees in a namespace, and what it does there.
#![allow(clippy::panic, reason = "a test that cannot ask nft ends here, with the reason")]

use std::process::Output;

use serde_json::Value;

use crate::netns::Netns;

/// Runs one nft script inside the namespace, which must work.
pub fn nft(netns: &Netns, script: &str) {
    let output = run(netns, &[script]);
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The table `inet <name>` with handles and counters, as `nft -j` prints it; `None` if there is none.
pub fn table(netns: &Netns, name: &str) -> Option<Value> {
    let output = run(netns, &["-j", "list", "table", "inet", name]);
    let json = || serde_json::from_slice(&output.stdout);
    output
        .status
        .success()
        .then(|| json().unwrap_or_else(|error| panic!("nft printed no JSON: {error}")))
}

/// The table `inet <name>` as nft prints it for people, without numbers that change; empty if there is none.
pub fn listing(netns: &Netns, name: &str) -> String {
    let output = run(netns, &["--stateless", "list", "table", "inet", name]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn run(netns: &Netns, arguments: &[&str]) -> Output {
    let output = netns.command("nft").args(arguments).output();
    output.unwrap_or_else(|error| panic!("cannot run nft: {error}"))
}
