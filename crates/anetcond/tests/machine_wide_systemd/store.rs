//! With and without the service manager's store. That kills and restarts cost nothing is proved in `machine_wide_store`.

use anetcon_testkit::netns::{unique, wait_until};
use nix::sys::signal::Signal;

use super::machine::{Machine, PATIENCE, said};
use super::{NAT_LOG, drop_in, our_table};

/// The kernel log holds the lines of earlier runs, too: these have a prefix of their own.
fn configuration() -> String {
    let prefix = unique("store");
    format!("namespaces = ['^at-store-']\n[log]\nwriter = 'agent'\nprefix = '[{prefix}]'\n")
}

fn stored(machine: &Machine) -> u64 {
    machine.property("NFileDescriptorStore").parse().expect("a number")
}

fn wait_stored(machine: &Machine, count: u64) {
    wait_until(&format!("{count} sockets are stored"), PATIENCE, || stored(machine) == count);
}

#[test]
fn the_kernel_removes_stored_tables_at_a_stop() {
    let machine = Machine::boot(&configuration());
    machine.add_netns("at-store-one");
    machine.service("start");
    wait_stored(&machine, 2);
    let table = our_table(&machine, "at-store-one").expect("it is there");
    assert!(table.contains("flags owner"), "{table}");
    machine.service("stop");
    assert_eq!(machine.property("Result"), "success", "{}", machine.journal());
    wait_until("the table is gone", PATIENCE, || our_table(&machine, "at-store-one").is_none());
    assert_eq!(stored(&machine), 0);
}

#[test]
fn without_a_store_the_table_persists() {
    let machine = Machine::boot(&configuration());
    // As docs/service.md says.
    drop_in(
        &machine,
        "FileDescriptorStoreMax=0\nCapabilityBoundingSet=CAP_SYSLOG\nAmbientCapabilities=CAP_SYSLOG\n\
         ProtectKernelLogs=no\nBindPaths=/dev/kmsg",
    );
    machine.add_netns("at-store-one");
    machine.service("start");
    let status = machine.run(&["anetconctl", "show", "at-store-one"]);
    assert!(status.contains("persistent"), "{status}");
    machine.connect("at-store-one");
    wait_until("the connection's line is in the file", PATIENCE, || {
        machine.read(NAT_LOG).contains("SRC=127.0.0.1 DST=127.0.0.1")
    });
    assert_eq!(stored(&machine), 0);
    machine.service("stop");
    assert_eq!(our_table(&machine, "at-store-one"), None, "{}", machine.journal());
}

/// Nobody reads while the agent is dead. What its stored socket had no room for is found missing by the next one.
#[test]
fn connections_lost_while_nobody_ran_are_a_gap() {
    const CONNECTIONS: usize = 3000;
    let machine = Machine::boot(&format!("{}[records]\nbuffer = 65536\n", configuration()));
    drop_in(&machine, "RestartSec=3");
    machine.add_netns("at-store-one");
    machine.service("start");
    wait_stored(&machine, 2);
    machine.signal(Signal::SIGKILL);
    let open = format!(
        "for n in $(seq {CONNECTIONS}); do
            echo -I -p tcp -s 10.0.$((n / 250)).$((n % 250 + 1)) -d 192.0.2.1 --sport 4000 --dport 443 -t 600 --state ESTABLISHED -u SEEN_REPLY
        done | ip netns exec at-store-one conntrack -R -"
    );
    machine.run(&["bash", "-c", &open]);
    assert_eq!(machine.property("NRestarts"), "0", "the agent was already back");
    wait_until("what is still open is on record", PATIENCE, || {
        machine.read("/var/log/anetcon/anetcon.sessions.ndjson").lines().count() == CONNECTIONS
    });
    let gaps = machine.command("anetconctl").args(["gaps", "--json"]).output().expect("it runs");
    let gaps = said(&gaps);
    let overrun = gaps.lines().find(|line| line.contains("record-overrun"));
    let overrun = overrun.unwrap_or_else(|| panic!("{gaps}"));
    let entry: serde_json::Value = serde_json::from_str(overrun).expect("JSON");
    assert_eq!(entry["namespace"], "at-store-one", "{entry:#}");
}
