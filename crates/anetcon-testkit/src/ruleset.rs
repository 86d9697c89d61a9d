//! What nft sees in a namespace, and what it does there.
#![allow(clippy::panic, reason = "a test that cannot ask nft ends here, with the reason")]

use std::io::Write;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::netns::{Netns, wait_until};

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

/// An nft that owns a table: as long as it runs nobody else may change that, and when it ends the table goes.
#[derive(Debug)]
pub struct Owner(Child);

impl Owner {
    /// Makes the table `inet <name>`, which must not exist.
    pub fn of(netns: &Netns, name: &str) -> Self {
        let mut command = netns.command("nft");
        let child = command.arg("-i").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut owner = Self(child.unwrap_or_else(|error| panic!("cannot run nft: {error}")));
        let script = format!("add table inet {name} {{ flags owner; }}\n");
        let stdin = owner.0.stdin.as_mut().unwrap_or_else(|| panic!("nft has no stdin"));
        stdin
            .write_all(script.as_bytes())
            .unwrap_or_else(|error| panic!("nft does not listen: {error}"));
        wait_until("nft owns the table", Duration::from_secs(10), || {
            listing(netns, name).contains("owner")
        });
        owner
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(netns: &Netns, arguments: &[&str]) -> Output {
    let output = netns.command("nft").args(arguments).output();
    output.unwrap_or_else(|error| panic!("cannot run nft: {error}"))
}
