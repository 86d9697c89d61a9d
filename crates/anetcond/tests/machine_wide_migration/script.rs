//! What the agent takes the place of: a service called anetcon that makes log rules with iptables. Ours, made for the test.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anetcon_testkit::netns::{unique, wait_until};

use super::machine::{Machine, PATIENCE};

/// Makes the rules, looks after them, and removes them when it is asked to end.
const PROGRAM: &str = r#"#!/bin/bash
in_each() {
    for netns in $(ip netns list | cut -d' ' -f1 | grep '^qrouter-'); do ip netns exec "$netns" iptables -t nat "$@"; done
}
clean() {
    in_each -D POSTROUTING -j anetcon
    in_each -F anetcon
    in_each -X anetcon
    exit
}
trap clean TERM
in_each -N anetcon
in_each -A anetcon -p tcp -m state --state NEW -m conntrack --ctstate DNAT -j LOG --log-prefix "PREFIX[D][01234567] "
in_each -A anetcon -p tcp -m state --state NEW -m conntrack ! --ctstate DNAT -j LOG --log-prefix "PREFIX[X][01234567] "
in_each -I POSTROUTING -j anetcon
while :; do sleep 1 & wait $!; done
"#;

/// Where an installation by hand puts it: it hides a unit of a package.
const UNIT: &str = "[Unit]\nDescription=the script\n\n[Service]\nType=simple\nExecStart=/usr/sbin/anetcon.sh\n\n\
                    [Install]\nWantedBy=multi-user.target\n";

/// The script, at work.
pub struct Script {
    prefix: String,
    router: String,
}

impl Script {
    /// Installs and starts it, beside rules of somebody else.
    pub fn install(machine: &Machine, router: &str) -> Self {
        // iptables takes 29 bytes, with what stands behind it.
        let prefix = format!("[{}]", unique("m").trim_start_matches("at-"));
        let script = Self { prefix, router: router.to_owned() };
        script.iptables(machine, &["-N", "other"]);
        script.iptables(machine, &["-A", "other", "-s", "10.1.0.0/16", "-j", "ACCEPT"]);
        script.iptables(machine, &["-A", "POSTROUTING", "-j", "other"]);
        let program = machine.path("/usr/sbin/anetcon.sh");
        fs::write(&program, PROGRAM.replace("PREFIX", &script.prefix)).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::write(machine.path("/etc/systemd/system/anetcon.service"), UNIT).expect("written");
        let old = format!(
            "# Our routers.\nNAMESPACES=( '^{router}$' )\nNETS=( '{router}' '127.0.0.0/8' )\nPERIOD=30\nLOG_PREFIX='{}'\nLOG_NAMESPACE_HASH=true\n",
            script.prefix
        );
        fs::write(machine.path("/etc/anetcon.conf"), old).expect("written");
        // As its installation did.
        machine.run(&["sysctl", "-qw", "net.netfilter.nf_log_all_netns=1"]);
        machine.run(&["systemctl", "enable", "--now", "anetcon"]);
        wait_until("the script logs", PATIENCE, || {
            script.iptables(machine, &["-S", "POSTROUTING"]).contains("-j anetcon")
        });
        script
    }

    /// What its lines begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn runs(&self, machine: &Machine) -> bool {
        machine
            .command("pgrep")
            .args(["-f", "anetcon.sh"])
            .output()
            .expect("it runs")
            .status
            .success()
    }

    /// Whether anything of it is in the kernel, as iptables and nft see it.
    pub fn is_left(&self, machine: &Machine) -> bool {
        let table = machine.nft(&self.router, "list table ip nat").expect("others use it");
        self.iptables(machine, &["-S"]).contains("anetcon") || table.contains("anetcon")
    }

    /// All rules but its own.
    pub fn rules_of_others(&self, machine: &Machine) -> String {
        let rules = self.iptables(machine, &["-S"]);
        rules.lines().filter(|line| !line.contains("anetcon")).collect::<Vec<_>>().join("\n")
    }

    fn iptables(&self, machine: &Machine, arguments: &[&str]) -> String {
        let words = ["ip", "netns", "exec", &self.router, "iptables-nft", "-t", "nat"];
        machine.run(&[&words[..], arguments].concat())
    }
}
