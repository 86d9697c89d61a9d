//! What is true of sockets that outlive the agent, under any systemd.

#[path = "../machine_wide_systemd/machine.rs"]
mod machine;
#[path = "reading.rs"]
mod reading;
#[path = "traffic.rs"]
mod traffic;

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anetcon_testkit::kernel_log::KernelLog;
use anetcon_testkit::netns::{unique, wait_until};
use machine::{Machine, PATIENCE};
use nix::sys::signal::Signal;
use reading::{LogAll, Reading};
use serde_json::Value;
use traffic::{Count, Ports, Traffic, count, differences};

const NAT_LOG: &str = "/var/log/anetcon/anetcon.nat.log";
const SESSIONS: &str = "/var/log/anetcon/anetcon.sessions.ndjson";

/// How often the agent is killed, and then started again by hand, under traffic.
const KILLS: usize = 100;
const RESTARTS: usize = 20;

/// How many namespaces are many, where this variable of the environment does not say otherwise.
const MANY: usize = 100;
const MANY_KEY: &str = "ANETCON_MANY";

/// How many namespaces are under traffic.
const NAMESPACES: usize = 3;

/// The first of the ports that are connected to: those of clients are higher.
const PORTS: u16 = 20_000;

fn configuration(prefix: &str) -> String {
    format!("namespaces = ['^at-keep-']\n[log]\nprefix = '{prefix}'\nwriter = 'agent'\n")
}

/// A machine whose agent is started again as soon as that can be, or after this time.
fn boot(root: &Path, prefix: &str, again: &str) -> Machine {
    let machine = Machine::boot_over(root, &configuration(prefix));
    let folder = machine.path("/run/units/anetcon.service.d");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("again.conf"), format!("[Service]\nRestartSec={again}\n"))
        .expect("written");
    machine.run(&["systemctl", "daemon-reload"]);
    machine
}

/// Waits until the manager keeps so many sockets.
fn wait_kept(machine: &Machine, count: usize) {
    wait_until(&format!("{count} sockets are kept"), PATIENCE, || {
        machine.property("NFileDescriptorStore") == count.to_string()
    });
}

/// Kills the agent and waits until the next one is ready.
fn kill(machine: &Machine, times_before: usize) {
    machine.signal(Signal::SIGKILL);
    let restarts = (times_before + 1).to_string();
    wait_until("the agent is started again", PATIENCE, || {
        machine.property("NRestarts") == restarts && machine.property("ActiveState") == "active"
    });
}

fn has_table(machine: &Machine, netns: &str) -> bool {
    machine.nft(netns, "list table inet anetcon").is_some()
}

/// Flushes the rulesets of the namespaces over and over, inside, until /run/stop is there.
fn flushing(machine: &Machine, names: &[String]) -> Child {
    let script = "while [ ! -e /run/stop ]; do for name; do ip netns exec $name nft flush ruleset; echo; done; sleep 0.02; done >/run/flushed";
    let mut command = machine.command("bash");
    command.args(["-c", script, "flushing"]).args(names).spawn().expect("nsenter runs")
}

/// The ports in each line of ours in the kernel log or the agent's file.
fn in_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Ports> {
    let number = |line: &str, key: &str| {
        line.split(' ').find_map(|word| word.strip_prefix(key)?.parse().ok())
    };
    lines.filter_map(|line| number(line, "SPT=").zip(number(line, "DPT="))).collect()
}

/// The ports of each record. A kill may cut a line, which is then written anew.
fn in_records(text: &str) -> Vec<Ports> {
    let port = |end: &Value| end["port"].as_u64().and_then(|port| u16::try_from(port).ok());
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter_map(|record: Value| port(&record["source"]).zip(port(&record["destination"])))
        .collect()
}

/// Under traffic and flushes, many kills and restarts cost no line and no record.
pub fn kills_and_restarts_lose_nothing(root: &Path) {
    let prefix = format!("[{}]", unique("k"));
    let _log_all = LogAll::on();
    let machine = boot(root, &prefix, "0");
    let names: Vec<String> = (0..NAMESPACES).map(|number| format!("at-keep-{number}")).collect();
    for name in &names {
        machine.add_netns(name);
    }
    machine.service("start");
    wait_kept(&machine, 2 * NAMESPACES);
    let kernel = Reading::start(KernelLog::follow(&prefix));
    let traffic: Vec<Traffic> = names
        .iter()
        .zip(PORTS..)
        .map(|(name, port)| Traffic::start(machine.path(&format!("/run/netns/{name}")), port))
        .collect();
    let mut flusher = flushing(&machine, &names);

    let began = Instant::now();
    for number in 0..KILLS {
        // At other moments of a run each time: while it adopts, reads, writes.
        thread::sleep(Duration::from_millis(number as u64 % 8 * 25));
        kill(&machine, number);
    }
    let killed = began.elapsed();
    for _ in 0..RESTARTS {
        machine.service("restart");
    }
    let took = began.elapsed();

    let made: Vec<Ports> = traffic.into_iter().flat_map(Traffic::stop).collect();
    fs::write(machine.path("/run/stop"), "").expect("written");
    flusher.wait().expect("it ends");
    let flushes = machine.read("/run/flushed").len();
    let expected = count(made.iter().copied());
    let mut kernel = kernel.stop();
    let lines = kernel.settled();
    let wrong = differences(&expected, &count(in_lines(lines.iter().map(String::as_str))));
    assert!(wrong.is_empty(), "kernel lines: {} of {}: {wrong:?}", wrong.len(), made.len());
    // A kill between a line and its place in the ring writes the line again.
    let in_file =
        wait_for_all("line in the file", &expected, || in_lines(machine.read(NAT_LOG).lines()));
    assert!(in_file.iter().all(|(_, found, made)| found > made), "lines in the file: {in_file:?}");
    let on_record = wait_for_all("record", &expected, || in_records(&machine.read(SESSIONS)));
    let status = machine.run(&["anetconctl", "status"]);
    assert!(on_record.is_empty(), "records of {}: {on_record:?}\n{status}", made.len());
    assert!(names.iter().all(|name| has_table(&machine, name)));
    println!(
        "{KILLS} kills in {killed:.1?}, {KILLS} kills and {RESTARTS} restarts in {took:.1?}, {flushes} flushes, {} connections: none lost",
        made.len()
    );

    machine.service("stop");
    wait_until("the kernel removes the tables", PATIENCE, || {
        !names.iter().any(|name| has_table(&machine, name))
    });
}

/// What differs once nothing is missing, or will not come any more.
fn wait_for_all(
    what: &str,
    expected: &Count,
    found: impl Fn() -> Vec<Ports>,
) -> Vec<(Ports, usize, usize)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let wrong = differences(expected, &count(found()));
        let missing = wrong.iter().filter(|(_, found, made)| found < made).count();
        if missing == 0 {
            return wrong;
        }
        assert!(Instant::now() < deadline, "missing of every {what}: {missing}: {wrong:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Of namespaces that were deleted, while the agent ran and while it was dead.
pub fn sockets_of_gone_namespaces_are_given_up(root: &Path) {
    let machine = boot(root, "[ANETCON]", "1");
    for number in 0..4 {
        machine.add_netns(&format!("at-keep-{number}"));
    }
    machine.service("start");
    wait_kept(&machine, 8);
    machine.run(&["ip", "netns", "del", "at-keep-0"]);
    wait_kept(&machine, 6);
    machine.signal(Signal::SIGKILL);
    machine.run(&["ip", "netns", "del", "at-keep-1"]);
    // One that takes the name is not what was kept under it.
    machine.run(&["ip", "netns", "del", "at-keep-2"]);
    machine.add_netns("at-keep-2");
    assert_eq!(machine.property("NFileDescriptorStore"), "6", "the agent was already back");
    wait_until("the agent is started again", PATIENCE, || {
        machine.property("NRestarts") == "1" && machine.property("ActiveState") == "active"
    });
    assert!(has_table(&machine, "at-keep-2") && has_table(&machine, "at-keep-3"));
    wait_kept(&machine, 4);
}

/// How long the last start of the agent took, as systemd saw it: from its process to the word that it is ready.
fn start_time(machine: &Machine) -> Duration {
    let time = |name| machine.property(name).parse::<u64>().expect("a number of microseconds");
    let ready = time("ActiveEnterTimestampMonotonic");
    Duration::from_micros(ready.saturating_sub(time("ExecMainStartTimestampMonotonic")))
}

/// How long it takes is there to be read; nothing is asserted of it.
pub fn many_namespaces_are_adopted(root: &Path) {
    let many = std::env::var(MANY_KEY).map_or(MANY, |many| many.parse().expect("a number"));
    let machine = boot(root, "[ANETCON]", "0");
    let make = format!("for n in $(seq {many}); do ip netns add at-keep-$n || exit; done");
    machine.run(&["bash", "-c", &make]);
    machine.service("start");
    let first = start_time(&machine);
    let began = Instant::now();
    wait_kept(&machine, 2 * many);
    let kept = began.elapsed();
    let tables = "for n in $(ip netns list | cut -d' ' -f1); do ip netns exec $n nft -a list tables; done | sort | uniq -c";
    let before = machine.run(&["bash", "-c", tables]);
    machine.service("restart");
    let restarted = start_time(&machine);
    kill(&machine, 0);
    let killed = start_time(&machine);
    assert_eq!(machine.run(&["bash", "-c", tables]), before, "the tables are the same ones");
    wait_kept(&machine, 2 * many);
    println!(
        "{many} namespaces: first start {first:.1?}, kept {kept:.1?} later; adopted {restarted:.1?} after a restart, {killed:.1?} after a kill"
    );
}
