//! `conntrack -E` beside the program under test: what another implementation hears of the same connections.
//!
//! Only its lines are kept here; what a test makes of them is the test's own.
#![allow(clippy::panic, reason = "a test that cannot be set up ends here")]

use std::fs::{self, File};
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::netns::{Netns, wait_until};

/// Ends a test in which it never listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// `conntrack -E -o extended,id` running in a namespace; ended when dropped.
#[derive(Debug)]
pub struct Beside {
    child: Child,
    file: NamedTempFile,
}

impl Beside {
    /// Returns once it listens. `what` is `NEW` or `DESTROY`.
    pub fn start(netns: &Netns, what: &str) -> Self {
        let file =
            NamedTempFile::new().unwrap_or_else(|error| panic!("no temporary file: {error}"));
        let output = File::create(file.path())
            .unwrap_or_else(|error| panic!("cannot write to a temporary file: {error}"));
        let child = netns
            .command("conntrack")
            .args(["-E", "-e", what, "-o", "extended,id"])
            .stdout(Stdio::from(output))
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start conntrack: {error}"));
        let beside = Self { child, file };
        // The masks of NFNLGRP_CONNTRACK_NEW (1) and NFNLGRP_CONNTRACK_DESTROY (3).
        let groups = if what == "NEW" { 1 } else { 1 << 2 };
        wait_until("conntrack -E listens", PATIENCE, || listens(netns, beside.child.id(), groups));
        beside
    }

    /// The lines that it has written to their end.
    pub fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file.path()).unwrap_or_default();
        text.lines().take(text.matches('\n').count()).map(str::to_owned).collect()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a netfilter socket of a process in this namespace is joined to one of these groups: 1 is the mask of new
/// connections, 4 of their ends.
pub fn listens(netns: &Netns, pid: u32, groups: u32) -> bool {
    // Each is a link to `socket:[INODE]`. The process may be changing them.
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let own: Vec<String> = files
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .collect();
    let sockets = netns.run(|| fs::read_to_string("/proc/thread-self/net/netlink"));
    sockets.unwrap_or_default().lines().any(|line| {
        // Address, protocol (12: netfilter), port, groups, six more, inode.
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "12", _, joined, .., inode] = words.as_slice() else { return false };
        let joined = u32::from_str_radix(joined, 16).unwrap_or_default();
        joined & groups != 0 && own.contains(&format!("socket:[{inode}]"))
    })
}
