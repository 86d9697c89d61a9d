//! A node of a fleet in a whole Debian 12 and a whole 13: the shipped files as docs/fleet.md puts them, under the distribution's own
//! rsyslog.service. What happens to lines when packets, daemons and disks fail is `fleet_relp` of anetcon-records.
#![allow(clippy::disallowed_methods, reason = "systemd and rsyslog are what this is tested with")]
#![allow(clippy::indexing_slicing, reason = "a missing member of a JSON document is null")]

#[path = "../machine_wide_systemd/machine.rs"]
mod machine;
#[path = "../machine_wide_package/package.rs"]
mod package;
mod pair;
#[path = "../machine_wide_systemd/system.rs"]
mod system;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anetcon_testkit::netns::wait_until;
use machine::{Machine, PATIENCE};
use package::{Package, add_router, install};
use serde_json::Value;

const SESSIONS: &str = "anetcon.sessions.ndjson";
const NAT: &str = "anetcon.nat.log";

/// Ends a broken test. The node tries again after 30 s at most (`action.resumeIntervalMax`), and waits as long for an answer.
const TRIES_AGAIN: Duration = Duration::from_secs(120);

#[test]
fn lines_of_a_debian_12_reach_the_central_machine_over_restarts_and_a_cut() {
    all_arrive(&system::bookworm());
}

#[test]
fn lines_of_a_debian_13_reach_the_central_machine_over_restarts_and_a_cut() {
    all_arrive(&system::trixie());
}

fn all_arrive(root: &Path) {
    let package = Package::built();
    let machine = Machine::boot_whole(root, &[package.path()]);
    let router = add_router(&machine);
    install(&machine, package.name());
    pair::set_up(&machine);
    let before = machine.run(&["systemctl", "show", "--property=ExecStartPre", "rsyslog"]);
    assert!(before.contains("/usr/local/sbin/anetcon-in-flight again"), "{before}");

    connect(&machine, &router, 10);
    wait_for_all(&machine, &router, 10);
    pair::cut(&machine);
    connect(&machine, &router, 10);
    machine.run(&["systemctl", "restart", "rsyslog"]);
    connect(&machine, &router, 10);
    kill_rsyslog(&machine);
    connect(&machine, &router, 10);
    pair::mend(&machine);
    wait_for_all(&machine, &router, 40);
    // The last lines that were sent before each start, by the shipped drop-in.
    assert!(machine.path("/var/spool/rsyslog/anetcon_again").exists());

    let record = lines(&machine, &pair::central(&machine, SESSIONS)).pop_last().expect("a record");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    let asked = format!("127.0.0.1:{}", record["source"]["port"]);
    let told = machine.run(&["anetconctl", "who", &asked, "--dir", pair::CENTRAL_LOG]);
    assert!(told.contains(&router), "{told}");
}

fn connect(machine: &Machine, router: &str, times: usize) {
    for _ in 0..times {
        machine.connect(router);
    }
}

/// As a crash does it: the service manager starts it again.
fn kill_rsyslog(machine: &Machine) {
    let restarts =
        || machine.run(&["systemctl", "show", "--value", "--property=NRestarts", "rsyslog"]);
    let before = restarts();
    machine.run(&["systemctl", "kill", "--signal=KILL", "rsyslog"]);
    wait_until("rsyslog is started again", PATIENCE, || restarts() != before);
}

/// So many connections are on record here, and every line of the node's files is at the central machine.
fn wait_for_all(machine: &Machine, router: &str, connections: usize) {
    let here = |name: &str| lines(machine, &format!("/var/log/anetcon/{name}"));
    wait_until("all are on record", PATIENCE, || {
        here(SESSIONS).iter().filter(|line| line.contains(router)).count() == connections
    });
    for name in [SESSIONS, NAT] {
        wait_until(&format!("{name} has arrived"), TRIES_AGAIN, || {
            let (sent, arrived) = (here(name), lines(machine, &pair::central(machine, name)));
            !sent.is_empty() && sent.is_subset(&arrived)
        });
    }
}

/// Whole lines of a file; some come twice on their way.
fn lines(machine: &Machine, path: &str) -> BTreeSet<String> {
    let text = machine.read(path);
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::to_owned).collect()
}
