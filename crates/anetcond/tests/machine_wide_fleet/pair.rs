//! The node is the booted machine; the central machine is a second rsyslogd in it, behind a wire in a network namespace of its own.

use std::fs;

use super::machine::Machine;

/// Where the central machine's files are.
pub const CENTRAL_LOG: &str = "/var/log/anetcon-fleet";

const GUIDE: &str = include_str!("../../../../docs/fleet.md");

/// Addresses for benchmarks (RFC 2544), which no network has. The wire's near end is in the real machine's namespace.
const WIRE: &str = "\
    ip netns add central
    ip link add at-fleet type veth peer name wire netns central
    ip address add 198.18.77.1/30 dev at-fleet
    ip link set at-fleet up
    ip -netns central address add 198.18.77.2/30 dev wire
    ip -netns central link set wire up
    ip -netns central link set lo up
    echo 198.18.77.2 central.example >>/etc/hosts";

/// Each file to its place, as the guide's table says. Nothing in them is changed: the names are those of the certificates.
const FILES: &str = "\
    cd /usr/share/anetcon/fleet
    install -m 644 rsyslog-node.conf /etc/rsyslog.d/40-anetcon-fleet.conf
    install -m 755 anetcon-in-flight /usr/local/sbin/anetcon-in-flight
    install -D -m 644 rsyslog-in-flight.conf /etc/systemd/system/rsyslog.service.d/anetcon-fleet.conf
    rsyslogd -N1";

/// The other machine's, under another name, as one system runs both.
const CENTRAL: &str = "\
    mkdir /var/spool/rsyslog-central
    { echo 'global(workDirectory=\"/var/spool/rsyslog-central\")'; cat /usr/share/anetcon/fleet/rsyslog-central.conf; } >/etc/rsyslog-central.conf
    systemd-run --unit=rsyslog-central --property=NetworkNamespacePath=/run/netns/central rsyslogd -n -iNONE -f /etc/rsyslog-central.conf";

/// Does what the guide says, on both machines.
pub fn set_up(machine: &Machine) {
    sh(machine, WIRE);
    certify(machine);
    sh(machine, FILES);
    sh(machine, CENTRAL);
    sh(machine, "systemctl daemon-reload; systemctl restart rsyslog");
}

/// Pulls the wire out at its far end: the route stays, so nothing takes another way.
pub fn cut(machine: &Machine) {
    sh(machine, "ip -netns central link set wire down");
}

/// Plugs it in.
pub fn mend(machine: &Machine) {
    sh(machine, "ip -netns central link set wire up");
}

/// Where a file of this node is at the central machine.
pub fn central(machine: &Machine, name: &str) -> String {
    // rsyslog calls a machine by the first part of its name.
    let host = machine.run(&["uname", "--nodename"]);
    format!("{CENTRAL_LOG}/{}.{name}", host.trim().split('.').next().unwrap_or_default())
}

/// The commands of the guide.
fn certify(machine: &Machine) {
    let marked = |mark: &str| {
        let (_, rest) = GUIDE.split_once(&format!("```sh\n# {mark}")).expect("a block");
        let (block, _) = rest.split_once("\n```").expect("its end");
        block.split_once('\n').expect("the mark's line").1.to_owned()
    };
    let node = marked("machine");
    let central = node
        .replace("FILE=node", "FILE=central")
        .replace("NAME=net1.nodes.example", "NAME=central.example");
    let folder = "mkdir -p /etc/anetcon/fleet; cd /etc/anetcon/fleet";
    sh(machine, &[folder, &marked("authority"), &node, &central].join("\n"));
    let key = machine.path("/etc/anetcon/fleet/node.key");
    assert!(fs::metadata(key).is_ok_and(|file| file.len() > 0), "the guide makes a key");
}

fn sh(machine: &Machine, script: &str) {
    machine.run(&["sh", "-euc", script]);
}
