//! The package in the life of a machine: installed, restarted, upgraded, stopped and purged, in a whole Debian 12 and a whole 13.
//!
//! The network namespace is the machine's own, with its one kernel log and its one nf_log_all_netns.
#![allow(clippy::disallowed_methods, reason = "systemd, apt and dpkg are what this is tested with")]
#![allow(clippy::indexing_slicing, reason = "a missing member of a JSON document is null")]
#![allow(clippy::panic, reason = "a test ends where something is not right")]

#[path = "../machine_wide_systemd/machine.rs"]
mod machine;
mod package;
#[path = "../machine_wide_systemd/system.rs"]
mod system;

use std::fs;
use std::path::Path;
use std::process::Command;

use anetcon_testkit::netns::wait_until;
use machine::{Machine, PATIENCE, said};
use nix::sys::signal::Signal;
use package::{Package, add_router, install};

const LOG_ALL: &str = "/proc/sys/net/netfilter/nf_log_all_netns";
const NAT_LOG: &str = "/var/log/anetcon/anetcon.nat.log";
const SESSIONS: &str = "/var/log/anetcon/anetcon.sessions.ndjson";

/// The hash that stands for the only namespace in lines of the kernel log.
fn hash(machine: &Machine) -> String {
    let hashes = machine.read("/var/lib/anetcon/namespace.hash");
    let hash = hashes.split_whitespace().find(|word| word.len() == 8);
    format!("[{}]", hash.expect("the hash file has a hash"))
}

#[test]
fn debian_12_is_audited_from_the_installation_to_the_removal() {
    whole_life(&system::bookworm());
}

#[test]
fn debian_13_is_audited_from_the_installation_to_the_removal() {
    whole_life(&system::trixie());
}

/// As Ubuntu has it.
#[test]
fn the_log_folder_fits_an_rsyslog_that_gave_up_root() {
    let package = Package::built();
    let machine = Machine::boot_whole(&system::bookworm(), &[package.path()]);
    let router = add_router(&machine);
    machine.run(&["useradd", "--system", "--groups", "adm", "syslog"]);
    let drop = "sed -i '1i $PrivDropToUser syslog\\n$PrivDropToGroup syslog' /etc/rsyslog.conf; chown root:syslog /var/log; chmod 775 /var/log; touch /var/log/syslog; chown syslog:adm /var/log/syslog";
    machine.run(&["sh", "-c", drop]);
    machine.run(&["systemctl", "restart", "rsyslog"]);
    install(&machine, package.name());
    let hash = hash(&machine);
    machine.connect(&router);
    wait_until("rsyslog has written the connection's line", PATIENCE, || {
        machine.read(NAT_LOG).contains(&hash)
    });
    wait_until("the connection is on record", PATIENCE, || {
        machine.read(SESSIONS).contains(&router)
    });
    let modes = machine.run(&["stat", "--format=%a %U:%G", "/var/log/anetcon", NAT_LOG, SESSIONS]);
    let reader = ["setpriv", "--reuid=daemon", "--regid=adm", "--clear-groups", "sh", "-c"];
    machine.run(&[&reader[..], &["ls /var/log/anetcon && ! touch /var/log/anetcon/x"]].concat());
    assert_eq!(modes, "770 anetcon:adm\n640 syslog:adm\n640 anetcon:adm\n");
}

/// What an operator adds to the unit, in force.
fn drop_in(machine: &Machine, text: &str) {
    let folder = machine.path("/etc/systemd/system/anetcon.service.d");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("own.conf"), text).expect("written");
    machine.run(&["systemctl", "daemon-reload"]);
    machine.service("restart");
}

#[test]
fn a_missing_capability_is_given_back_by_the_doctors_advice() {
    let package = Package::built();
    let machine = Machine::boot_whole(&system::bookworm(), &[package.path()]);
    install(&machine, package.name());
    drop_in(&machine, "[Service]\nCapabilityBoundingSet=\nCapabilityBoundingSet=CAP_NET_ADMIN\n");
    let finding = || {
        let output = machine.command("anetconctl").args(["doctor", "--json"]).output();
        let output = output.expect("nsenter runs");
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let findings = found["findings"].as_array().expect("a list").clone();
        findings.into_iter().find(|finding| finding["check"] == "capabilities").expect("a check")
    };
    let wrong = finding();
    assert_eq!(wrong["state"], "wrong", "{wrong:#}");
    machine.run(&["sh", "-c", wrong["fix"].as_str().expect("advice")]);
    assert_eq!(finding()["state"], "ok");
}

/// With the shipped drop-ins as they are; the unit alone forbids both.
#[test]
fn metrics_are_told_over_tcp_and_in_a_file() {
    let package = Package::built();
    let machine = Machine::boot_whole(&system::bookworm(), &[package.path()]);
    install(&machine, package.name());
    let shipped = |name| machine.read(&format!("/usr/share/anetcon/monitoring/{name}"));
    // As the drop-in's head says.
    machine.run(&["install", "-d", "-o", "anetcon", "/var/lib/prometheus/node-exporter"]);
    drop_in(&machine, &(shipped("metrics-tcp.conf") + &shipped("metrics-textfile.conf")));
    let textfile = "/var/lib/prometheus/node-exporter/anetcon.prom";
    machine.configure(&format!("[metrics]\nlisten = '127.0.0.1:29842'\ntextfile = '{textfile}'\n"));
    machine.service("reload");
    let ask =
        "exec 3<>/dev/tcp/127.0.0.1/29842; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3";
    let told = machine.run(&["bash", "-c", ask]);
    assert!(told.contains("anetcon_namespaces{"), "{told}");
    wait_until("the file is written", PATIENCE, || {
        machine.read(textfile).contains("anetcon_build_info")
    });
}

fn whole_life(root: &Path) {
    let package = Package::built();
    let newer = package.newer();
    let machine = Machine::boot_whole(root, &[package.path(), newer.path()]);
    let before = files(&machine);
    let router = add_router(&machine);
    install(&machine, package.name());
    it_audits(&machine, &router);
    missed_messages_are_counted(&machine);
    let since = machine.run(&["date", "--utc", "+%FT%T.%NZ"]);
    for protect in ["auto", "off"] {
        machine.configure(&format!("rules.protect = '{protect}'\n"));
        machine.service("reload");
        let before = lines(&machine);
        stays_over(&machine, &router, protect, "a restart", || machine.service("restart"));
        stays_over(&machine, &router, protect, "a crash", || crash(&machine));
        each_has_its_line(&machine, before, 2);
    }
    stays_over(&machine, &router, "off", "an upgrade", || install(&machine, newer.name()));
    assert!(
        machine.read("/etc/anetcon/anetcon.toml").contains("'off'"),
        "the operator's file is kept"
    );
    // Exit status 0: complete.
    machine.run(&["anetconctl", "gaps", "--from", since.trim()]);
    it_is_woken(&machine);
    the_root_namespace_is_audited_over_a_restart(&machine);
    it_stops(&machine, &router);
    the_last_run_puts_the_sysctl_back(&machine);
    it_goes(&machine, &router, &before);
}

/// Without a word of configuration.
fn it_audits(machine: &Machine, router: &str) {
    for (verb, answer) in [("is-active", "active\n"), ("is-enabled", "enabled\n")] {
        assert_eq!(machine.run(&["systemctl", verb, "anetcon"]), answer, "{}", machine.journal());
    }
    machine.run(&["anetconctl", "status"]);
    assert_eq!(machine.property("NeedDaemonReload"), "no");
    let hash = hash(machine);
    machine.connect(router);
    wait_until("rsyslog has written the connection's line", PATIENCE, || {
        machine.read(NAT_LOG).contains(&hash)
    });
    wait_until("the connection is on record", PATIENCE, || machine.read(SESSIONS).contains(router));
    for other in ["/var/log/kern.log", "/var/log/syslog", "/var/log/messages"] {
        assert!(!machine.read(other).contains(&hash), "{other} holds our lines too");
    }
    let modes = machine.run(&["stat", "--format=%a %U:%G", "/var/log/anetcon", NAT_LOG, SESSIONS]);
    assert_eq!(modes, "750 anetcon:adm\n640 root:adm\n640 anetcon:adm\n");
    machine.run(&["rsyslogd", "-N1"]);
    machine.run(&["logrotate", "--debug", "/etc/logrotate.d/anetcon"]);
}

/// The journal's files differ between the two systemds; what they say counts for the boot that it was said in.
fn missed_messages_are_counted(machine: &Machine) {
    let told = |doctor: &str| {
        let output = machine.command("sh").args(["-c", doctor]).output().expect("nsenter runs");
        let found = said(&output);
        let line = found.lines().find(|line| line.contains(" journald "));
        let words = line.unwrap_or_else(|| panic!("{found}")).split_whitespace();
        // `wrong journald the journal says 4 times that ...`, or that nothing was missed.
        words.rev().find_map(|word| word.parse::<u64>().ok()).unwrap_or(0)
    };
    let before = told("anetconctl doctor");
    for count in [5, 6, 5, 5] {
        let words = format!("echo Missed {count} kernel messages | systemd-cat; journalctl --sync");
        machine.run(&["sh", "-c", &words]);
    }
    assert_eq!(told("anetconctl doctor"), before + 4);
    let other = "unshare --mount sh -c 'echo 01234567-89ab-cdef-0123-456789abcdef > /tmp/boot
        mount --bind /tmp/boot /proc/sys/kernel/random/boot_id; anetconctl doctor'";
    assert_eq!(told(other), 0);
}

/// How many connections are made while something happens.
const MEANWHILE: u64 = 100;

/// The same table counts every connection that is made while something happens.
fn stays_over(machine: &Machine, router: &str, protect: &str, what: &str, event: impl FnOnce()) {
    let (handle, counted) = table(machine, router);
    let attempts = format!(
        "for n in $(seq {MEANWHILE}); do (true >/dev/tcp/127.0.0.1/9) 2>/dev/null; sleep 0.02; done; true"
    );
    let mut traffic = machine.command("ip");
    traffic.args(["netns", "exec", router, "bash", "-c", &attempts]);
    let mut traffic = traffic.spawn().expect("nsenter runs");
    event();
    assert!(traffic.wait().expect("it ends").success());
    let place = format!("{what} with protect = {protect}: {}", machine.journal());
    assert_eq!(table(machine, router), (handle, counted + MEANWHILE), "{place}");
    assert_eq!(fs::read_to_string(LOG_ALL).expect("it is there").trim(), "1", "{place}");
}

/// Each of them has its line, where rsyslog was not started anew meanwhile: then it may pass one over.
fn each_has_its_line(machine: &Machine, since: usize, times: u64) {
    let expected = since + usize::try_from(times * MEANWHILE).expect("it is small");
    wait_until("every line is in rsyslog's file", PATIENCE, || lines(machine) == expected);
}

/// How many lines rsyslog has written.
fn lines(machine: &Machine) -> usize {
    let hash = hash(machine);
    machine.read(NAT_LOG).lines().filter(|line| line.contains(&hash)).count()
}

/// The handle of our table, and how many packets the rule for outgoing connections has counted.
fn table(machine: &Machine, router: &str) -> (u64, u64) {
    let list = ["ip", "netns", "exec", router, "nft", "-j", "list", "table", "inet", "anetcon"];
    let listing = machine.run(&list);
    let listing: serde_json::Value = serde_json::from_str(&listing).expect("nft prints JSON");
    let objects = listing["nftables"].as_array().expect("a list");
    let table = objects.iter().find_map(|object| object["table"]["handle"].as_u64());
    let nat = objects.iter().find(|object| object["rule"]["comment"] == "anetcon nat");
    let counter = nat.and_then(|rule| {
        let expressions = rule["rule"]["expr"].as_array()?;
        expressions.iter().find_map(|expression| expression["counter"]["packets"].as_u64())
    });
    (table.expect("a table"), counter.expect("a counter"))
}

fn crash(machine: &Machine) {
    let before = machine.property("NRestarts");
    machine.signal(Signal::SIGKILL);
    wait_until("the agent is started again", PATIENCE, || {
        machine.property("NRestarts") != before && machine.property("ActiveState") == "active"
    });
}

/// The shipped time is longer than a test should take.
fn it_is_woken(machine: &Machine) {
    drop_in(machine, "[Service]\nWatchdogSec=2\n");
    let before = machine.property("NRestarts");
    machine.signal(Signal::SIGSTOP);
    wait_until("the watchdog has ended it, and it is started again", PATIENCE, || {
        machine.property("NRestarts") != before && machine.property("ActiveState") == "active"
    });
    fs::remove_dir_all(machine.path("/etc/systemd/system/anetcon.service.d")).expect("it is there");
    machine.run(&["systemctl", "daemon-reload"]);
}

/// The root namespace is the real machine's, so nothing in it is logged; and nothing is left there, however the test ends.
fn the_root_namespace_is_audited_over_a_restart(machine: &Machine) {
    struct Cleared;
    impl Drop for Cleared {
        fn drop(&mut self) {
            // It is gone already, unless the test failed.
            let _ = Command::new("nft").args(["delete", "table", "inet", "anetcon"]).output();
        }
    }
    let handle = || {
        let listing = machine.run(&["nft", "-a", "list", "table", "inet", "anetcon"]);
        listing.lines().next().expect("a table has a first line").to_owned()
    };
    let _cleared = Cleared;
    machine
        .configure("namespaces = ['^qrouter-', 'default']\nnetworks.default = ['192.0.2.0/24']\n");
    machine.service("reload");
    let before = handle();
    assert!(before.contains("# handle"), "{before}");
    assert!(!before.contains("owner"), "{before}");
    machine.service("restart");
    assert_eq!(handle(), before, "{}", machine.journal());
    machine.configure("rules.protect = 'off'\n");
    machine.service("reload");
    let left = machine.command("nft").args(["list", "table", "inet", "anetcon"]).output();
    assert!(!left.expect("nft runs").status.success(), "the table goes with the selection");
}

fn it_stops(machine: &Machine, router: &str) {
    machine.service("stop");
    assert_eq!(machine.nft(router, "list table inet anetcon"), None, "{}", machine.journal());
    machine.service("start");
    assert!(machine.nft(router, "list table inet anetcon").is_some());
}

/// Where the package's file does not set it: runs of one restart hand on what was before the first.
fn the_last_run_puts_the_sysctl_back(machine: &Machine) {
    machine.service("stop");
    fs::write(LOG_ALL, "0").expect("root may write it");
    machine.service("start");
    for _ in 0..2 {
        machine.service("restart");
        assert_eq!(fs::read_to_string(LOG_ALL).expect("it is there").trim(), "1");
    }
    assert!(!machine.read("/var/lib/anetcon/ledger.ndjson").contains("nf-log-off"));
    machine.service("stop");
    assert_eq!(fs::read_to_string(LOG_ALL).expect("it is there").trim(), "0");
    machine.service("start");
}

/// A removal leaves configuration and logs, a purge the logs.
fn it_goes(machine: &Machine, router: &str, before: &[String]) {
    machine.run(&["dpkg", "--remove", "anetcon"]);
    assert_eq!(machine.nft(router, "list table inet anetcon"), None);
    assert!(machine.read("/etc/anetcon/anetcon.toml").contains("'off'"));
    assert_eq!(fs::read_to_string(LOG_ALL).expect("it is there").trim(), "0");
    machine.run(&["dpkg", "--purge", "anetcon"]);
    let left: Vec<String> =
        files(machine).into_iter().filter(|file| !before.contains(file)).collect();
    let ours: Vec<&String> =
        left.iter().filter(|file| !file.starts_with("/var/log/anetcon")).collect();
    assert!(ours.is_empty(), "left behind: {ours:?}");
    assert!(!left.is_empty(), "the logs are evidence");
    machine.run(&["systemctl", "is-active", "rsyslog"]);
}

/// Every file that has our name.
fn files(machine: &Machine) -> Vec<String> {
    let find = ["find", "/etc", "/usr", "/var", "/run", "-xdev", "-name", "*anetcon*"];
    machine.run(&find).lines().map(str::to_owned).collect()
}
