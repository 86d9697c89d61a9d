//! The agent under a real systemd, in the sandbox of the shipped unit.
//!
//! nf_log_all_netns exists once per machine and is changed here, so these tests run by themselves.
#![allow(clippy::disallowed_methods, reason = "systemd is what this is tested with")]

mod machine;
mod store;

use std::fs;
use std::process::Command;

use anetcon_testkit::netns::wait_until;
use anetcon_testkit::threads::threads;
use machine::{Machine, PATIENCE, said};
use nix::sys::signal::Signal;

const LOG_ALL: &str = "/proc/sys/net/netfilter/nf_log_all_netns";
const NAT_LOG: &str = "/var/log/anetcon/anetcon.nat.log";
const SESSIONS: &str = "/var/log/anetcon/anetcon.sessions.ndjson";
const CONFIGURATION: &str = "\
namespaces = ['^at-boot-']
debug = true
[rules]
protect = 'off'
[log]
writer = 'agent'
";

/// How often something else on this machine may come between.
const ATTEMPTS: usize = 5;

/// Puts nf_log_all_netns back however the test ends.
struct LogAll(String);

impl LogAll {
    fn save() -> Self {
        Self(Self::get())
    }

    /// Sets it, once no other agent needs it: the last one that ends puts it back, not ours.
    fn set_when_alone(value: &str) {
        wait_until("no other agent runs on this machine", PATIENCE, || {
            let sockets = fs::read_to_string("/proc/net/unix").expect("proc is mounted");
            !sockets.contains(&format!("@anetcon{LOG_ALL}/"))
        });
        fs::write(LOG_ALL, value).expect("root may write it");
    }

    fn get() -> String {
        let text = fs::read_to_string(LOG_ALL);
        text.expect("this is the machine's own network namespace").trim().to_owned()
    }
}

impl Drop for LogAll {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = fs::write(LOG_ALL, &self.0);
    }
}

fn our_table(machine: &Machine, netns: &str) -> Option<String> {
    machine.nft(netns, "list table inet anetcon")
}

/// How many packets the rule for outgoing connections has counted.
fn counted(machine: &Machine, netns: &str) -> u64 {
    let table = our_table(machine, netns).expect("our table is there");
    let rule = table.lines().find(|line| line.contains("[ANETCON][X]")).expect("our rule is there");
    let (_, rest) = rule.split_once("packets ").expect("the rule has a counter");
    rest.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Adds lines to our unit, before it is started.
fn drop_in(machine: &Machine, lines: &str) {
    let folder = machine.path("/run/units/anetcon.service.d");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("test.conf"), format!("[Service]\n{lines}\n")).expect("written");
    machine.run(&["systemctl", "daemon-reload"]);
}

#[test]
fn repairs_come_before_all_ordinary_work() {
    let machine = Machine::boot(CONFIGURATION);
    assert_eq!(machine.property("LimitRTPRIO"), "1");
    // Where tests run, a service manager may not raise a limit (CAP_SYS_RESOURCE): the other way to the same right stands in.
    drop_in(&machine, "CapabilityBoundingSet=CAP_SYS_NICE\nAmbientCapabilities=CAP_SYS_NICE");
    machine.service("start");
    let threads = threads(machine.main_pid().as_raw().unsigned_abs());
    let first = threads.into_iter().filter(|thread| thread.policy == 1);
    let first: Vec<_> = first.map(|thread| thread.name).collect();
    assert!(!first.is_empty() && first.iter().all(|name| name == "anetcon-rules"), "{first:?}");
}

#[test]
fn of_the_machine_it_may_write_only_what_it_has_to() {
    let machine = Machine::boot(CONFIGURATION);
    machine.service("start");
    let agent = machine.main_pid().to_string();
    // As root, who is stopped by the mounts alone. Opened and not written.
    let open = |path: &str| {
        let mut command = Command::new("nsenter");
        command.args(["--target", &agent, "--mount", "--root", "--wd"]);
        command.args(["bash", "-c", &format!(": >>{path}")]);
        let output = command.output().expect("nsenter is on every machine");
        if output.status.success() { "written".to_owned() } else { said(&output) }
    };
    for path in ["/proc/sys/net/netfilter/nf_log_all_netns", "/var/log/agent", "/run/anetcon/x"] {
        assert_eq!(open(path), "written", "{path}");
    }
    for path in ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/printk", "/etc/x", "/usr/x"] {
        assert!(open(path).contains("Read-only file system"), "{path}: {}", open(path));
    }
    fs::write(machine.path("/root/secret"), "").expect("written");
    assert!(fs::exists(machine.path("/root/secret")).expect("root may look"));
    assert!(!fs::exists(format!("/proc/{agent}/root/root/secret")).expect("root may look"));
}

/// Nobody could say then that no line is missing.
#[test]
fn a_kernel_log_that_cannot_be_read_is_told() {
    let machine = Machine::boot("namespaces = ['^at-boot-']\n");
    drop_in(&machine, "ExecStartPre=");
    machine.service("start");
    let status = machine.command("anetconctl").arg("status").output().expect("nsenter runs");
    assert_eq!(status.status.code(), Some(1));
    assert!(said(&status).contains("lines are not counted: cannot open /dev/kmsg"));
}

#[test]
fn started_means_that_rules_are_in_force() {
    let machine = Machine::boot(CONFIGURATION);
    machine.add_netns("at-boot-early");
    machine.service("start");
    assert!(our_table(&machine, "at-boot-early").is_some(), "{}", machine.journal());
    assert!(machine.property("StatusText").contains('1'), "{}", machine.property("StatusText"));

    machine.add_netns("at-boot-late");
    wait_until("a namespace made later is audited", PATIENCE, || {
        our_table(&machine, "at-boot-late").is_some()
    });
    machine.nft("at-boot-early", "flush ruleset").expect("nft flushes");
    wait_until("a flushed ruleset is repaired", PATIENCE, || {
        our_table(&machine, "at-boot-early").is_some_and(|table| table.contains("[ANETCON][D]"))
    });
    // The number of the thread is that of another PID namespace here, so /proc cannot know more of it.
    wait_until("the ledger names the culprit", PATIENCE, || {
        machine
            .read("/var/lib/anetcon/ledger.ndjson")
            .contains("\"culprits\":[{\"process\":\"nft\"")
    });

    machine.connect("at-boot-late");
    wait_until("the connection's line is in the file", PATIENCE, || {
        machine.read(NAT_LOG).contains("SRC=127.0.0.1 DST=127.0.0.1")
    });
    wait_until("the connection is on record", PATIENCE, || {
        machine.read(SESSIONS).contains("\"namespace\":\"at-boot-late\"")
    });
    let readable = ["stat", "--format=%a %U:%G", NAT_LOG, SESSIONS, "/run/anetcon/anetcon.sock"];
    assert_eq!(machine.run(&readable), "640 anetcon:adm\n640 anetcon:adm\n660 anetcon:adm\n");
    // The CLI reaches the agent where both expect the socket.
    machine.run(&["anetconctl", "status"]);
}

#[test]
fn stop_takes_rules_away_and_puts_the_sysctl_back() {
    let log_all = LogAll::save();
    let machine = Machine::boot(CONFIGURATION);
    machine.add_netns("at-boot-one");
    // While another agent or test of this machine needs the setting, ours is right to leave it on.
    let put_back = (0..ATTEMPTS).any(|_| {
        LogAll::set_when_alone("0");
        machine.service("start");
        assert_eq!(LogAll::get(), "1", "{}", machine.journal());
        fs::write(LOG_ALL, "0").expect("root may write it");
        wait_until("nf_log_all_netns is set again", PATIENCE, || LogAll::get() == "1");

        machine.service("stop");
        assert_eq!(machine.property("Result"), "success", "{}", machine.journal());
        assert_eq!(machine.property("ExecMainStatus"), "0");
        assert_eq!(our_table(&machine, "at-boot-one"), None, "{}", machine.journal());
        LogAll::get() == "0"
    });
    assert!(put_back, "{}", machine.journal());
    drop(log_all);
}

#[test]
fn reload_returns_when_the_new_configuration_is_in_force() {
    let machine = Machine::boot(CONFIGURATION);
    machine.add_netns("at-boot-one");
    machine.add_netns("at-other");
    machine.service("start");

    machine.configure(&CONFIGURATION.replace("at-boot-", "at-other"));
    machine.service("reload");
    assert!(our_table(&machine, "at-other").is_some(), "{}", machine.journal());
    assert_eq!(our_table(&machine, "at-boot-one"), None, "{}", machine.journal());

    machine.configure(&CONFIGURATION.replace("debug", "debgu"));
    let refused = machine.systemctl("reload");
    assert!(!refused.status.success(), "{}", said(&refused));
    assert!(machine.journal().contains("anetcon.toml:2:1"), "{}", machine.journal());
    assert_eq!(machine.property("ActiveState"), "active");
    assert!(our_table(&machine, "at-other").is_some(), "the running configuration stays in force");
}

#[test]
fn a_refused_configuration_is_not_tried_again() {
    let machine = Machine::boot("period = 0\n");
    assert!(!machine.systemctl("start").status.success());
    assert_eq!(machine.property("ExecMainStatus"), "78", "{}", machine.journal());
    assert_eq!(machine.property("ActiveState"), "failed");
    assert!(machine.journal().contains("anetcon.toml:1:"), "{}", machine.journal());
}

#[test]
fn killed_agent_leaves_rules_that_go_on_counting() {
    let machine = Machine::boot(CONFIGURATION);
    machine.add_netns("at-boot-one");
    machine.service("start");
    machine.connect("at-boot-one");
    let before = counted(&machine, "at-boot-one");
    assert!(before > 0, "the first connection is counted");

    machine.signal(Signal::SIGKILL);
    machine.connect("at-boot-one");
    wait_until("the agent is started again", PATIENCE, || {
        machine.property("NRestarts") == "1" && machine.property("ActiveState") == "active"
    });
    machine.connect("at-boot-one");
    assert_eq!(counted(&machine, "at-boot-one"), before + 2, "{}", machine.journal());
}

#[test]
fn a_hanging_agent_is_ended_and_started_again() {
    let machine = Machine::boot(CONFIGURATION);
    // The shipped time is longer than a test should take.
    let folder = machine.path("/run/units/anetcon.service.d");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("watchdog.conf"), "[Service]\nWatchdogSec=2\n").expect("written");
    machine.run(&["systemctl", "daemon-reload"]);
    machine.add_netns("at-boot-one");
    machine.service("start");

    machine.signal(Signal::SIGSTOP);
    wait_until("the watchdog has seen it", PATIENCE, || machine.property("NRestarts") == "1");
    assert!(machine.journal().contains("Watchdog timeout"), "{}", machine.journal());
    wait_until("the agent is started again", PATIENCE, || {
        machine.property("ActiveState") == "active"
    });
    assert!(our_table(&machine, "at-boot-one").is_some());
}
