//! From the bash script to the agent, in a whole Debian 12 and a whole 13: the commands of docs/migration.md, as they stand there.
//!
//! The network namespace is the machine's own, with its one kernel log and its one nf_log_all_netns.
#![allow(
    clippy::disallowed_methods,
    reason = "systemd, apt and iptables are what this is tested with"
)]
#![allow(clippy::panic, reason = "a test ends where something is not right")]

#[path = "../machine_wide_systemd/machine.rs"]
mod machine;
#[path = "../machine_wide_package/package.rs"]
mod package;
mod script;
#[path = "../machine_wide_systemd/system.rs"]
mod system;

use std::path::Path;
use std::process::Child;

use anetcon_testkit::kernel_log::KernelLog;
use anetcon_testkit::netns::wait_until;
use jiff::Timestamp;
use machine::{Machine, PATIENCE, said};
use package::{Package, add_router};
use script::Script;

const DOCUMENT: &str = include_str!("../../../../docs/migration.md");

/// The port of the first connection; each has its own, the next higher one.
const FIRST: u16 = 10_000;

#[test]
fn debian_12_goes_from_the_script_to_the_agent_and_no_connection_goes_unlogged() {
    it_migrates(&system::bookworm());
}

#[test]
fn debian_13_goes_from_the_script_to_the_agent_and_no_connection_goes_unlogged() {
    it_migrates(&system::trixie());
}

fn it_migrates(root: &Path) {
    let package = Package::built();
    let machine = Machine::boot_whole(root, &[package.path()]);
    let router = add_router(&machine);
    let script = Script::install(&machine, &router);
    let others = script.rules_of_others(&machine);
    let log = KernelLog::follow(script.prefix());
    let traffic = Traffic::start(&machine, &router);

    answer_the_packages_questions(&machine);
    let mut in_force = None;
    for step in steps("The change") {
        let output = machine.command("sh").args(["-c", &format!("cd /root; {step}")]).output();
        let output = output.expect("nsenter runs");
        let said = said(&output);
        if step.starts_with("anetconctl doctor") {
            // What else it says of this machine is another matter.
            assert!(
                said.lines().any(|line| line.contains("ok") && line.contains("old_chain")),
                "{said}"
            );
        } else {
            assert!(output.status.success(), "{step}: {said}{}", machine.journal());
        }
        if step.starts_with("apt") {
            assert!(script.runs(&machine), "the package's installation leaves it alone");
        } else if step.starts_with("systemctl restart") {
            in_force = Some(Timestamp::now());
        }
    }

    let last = traffic.stop(&machine);
    each_is_logged(log, last);
    assert!(!script.runs(&machine));
    assert_eq!(script.rules_of_others(&machine), others, "rules of others stay as they are");
    assert!(!script.is_left(&machine));
    the_agent_does_what_the_old_file_said(&machine, &router, &script);
    // Before its rules were in force the agent knows of nothing.
    let since = in_force.expect("the document starts the agent").to_string();
    machine.run(&["anetconctl", "gaps", "--from", &since]);
}

/// The commands of a section, in the order in which they stand there.
fn steps(section: &str) -> Vec<&'static str> {
    let (_, section) = DOCUMENT.split_once(&format!("\n## {section}\n")).expect("a section");
    let (_, block) = section.split_once("```sh\n").expect("a block of commands");
    let (block, _) = block.split_once("```").expect("its end");
    block.lines().filter(|line| !line.is_empty()).collect()
}

/// The document's command for apt asks; the document says what to answer.
fn answer_the_packages_questions(machine: &Machine) {
    let answers = "APT::Get::Assume-Yes \"true\";\nDpkg::Options { \"--force-confnew\"; };\n";
    std::fs::write(machine.path("/etc/apt/apt.conf.d/90-answers"), answers).expect("written");
}

/// Connections to closed ports, one after the other, until told to stop.
struct Traffic {
    attempts: Child,
}

impl Traffic {
    fn start(machine: &Machine, router: &str) -> Self {
        let script = format!(
            "port={FIRST}
            while [ ! -e /run/enough ]; do
                (true >/dev/tcp/127.0.0.1/$port) 2>/dev/null
                echo $port >/run/last; port=$((port + 1)); sleep 0.02
            done"
        );
        let mut attempts = machine.command("ip");
        attempts.args(["netns", "exec", router, "bash", "-c", &script]);
        let attempts = attempts.spawn().expect("nsenter runs");
        wait_until("connections are made", PATIENCE, || !machine.read("/run/last").is_empty());
        Self { attempts }
    }

    /// The port of the last one.
    fn stop(mut self, machine: &Machine) -> u16 {
        machine.run(&["touch", "/run/enough"]);
        assert!(self.attempts.wait().expect("it ends").success());
        machine.read("/run/last").trim().parse().expect("a number")
    }
}

fn each_is_logged(mut log: KernelLog, last: u16) {
    let lines = log.settled();
    let times = |port: u16| {
        let wanted = format!(" DPT={port} ");
        lines.iter().filter(|line| line.contains(&wanted)).count()
    };
    let times: Vec<(u16, usize)> = (FIRST..=last).map(|port| (port, times(port))).collect();
    let missing: Vec<u16> =
        times.iter().filter(|(_, times)| *times == 0).map(|(port, _)| *port).collect();
    assert!(missing.is_empty(), "not logged: {missing:?} of {FIRST} to {last}");
    assert_eq!(times.first(), Some(&(FIRST, 1)), "first the script");
    assert_eq!(times.last(), Some(&(last, 1)), "in the end the agent alone");
}

fn the_agent_does_what_the_old_file_said(machine: &Machine, router: &str, script: &Script) {
    let table = || machine.nft(router, "list table inet anetcon").expect("a table");
    assert!(table().contains(&format!("{}[X][", script.prefix())), "{}", table());
    let written = machine.read("/etc/anetcon/anetcon.toml");
    for words in ["# Our routers.", "period = 30", "127.0.0.0/8", "networks_scope = \"outgoing\""] {
        assert!(written.contains(words), "{words} is not in {written}");
    }
    assert!(table().contains("127.0.0.0/8"), "{}", table());
    machine.run(&["anetconctl", "check"]);
    machine.service("restart");
    assert!(table().contains(script.prefix()));
}
