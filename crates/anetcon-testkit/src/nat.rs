//! Address translation of a [`Router`] as Neutron does it, made in each of the ways that occur.
//!
//! All of them: what comes in for the floating IP goes to its instance, what that instance sends carries
//! the floating IP, every other instance looks like the router itself.
#![allow(clippy::panic, reason = "a test that cannot be set up ends here, with the reason")]

use std::io::Write;
use std::process::Stdio;

use crate::nat_netlink;
use crate::netns::Netns;
use crate::topology::{Addresses, Family, OUTER_INTERFACE, Router};

/// Who makes the translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    /// `iptables-nft`, as Neutron's agents on current distributions.
    IptablesNft,
    /// `iptables-legacy`, as on older ones.
    IptablesLegacy,
    /// A native nft table whose source NAT comes at priority -100, well before the usual 100.
    NativeEarly,
    /// nf_tables over netlink, for where no tool is installed.
    Netlink,
}

impl Nat {
    /// Every way.
    pub const ALL: [Self; 4] =
        [Self::IptablesNft, Self::IptablesLegacy, Self::NativeEarly, Self::Netlink];

    /// Makes the router translate, IPv4 and IPv6.
    pub fn install(self, router: &Router) {
        match self {
            Self::IptablesNft => restore(&router.netns, ["iptables-nft", "ip6tables-nft"]),
            Self::IptablesLegacy => restore(&router.netns, ["iptables-legacy", "ip6tables-legacy"]),
            Self::NativeEarly => feed(&router.netns, "nft", &["-f", "-"], &native_early()),
            Self::Netlink => router
                .netns
                .run(nat_netlink::install)
                .unwrap_or_else(|error| panic!("cannot make NAT over netlink: {error:#}")),
        }
    }
}

fn restore(router: &Netns, programs: [&str; 2]) {
    for (program, family) in programs.into_iter().zip(Family::ALL) {
        let program = format!("{program}-restore");
        feed(router, &program, &["--noflush", "--wait"], &neutron_chains(family.addresses()));
    }
}

/// The nat table as a Neutron router has it, jumps included.
fn neutron_chains(addresses: &Addresses) -> String {
    let Addresses { floating, floating_instance, external, .. } = addresses;
    let outer = OUTER_INTERFACE;
    format!(
        "*nat\n\
         :neutron-l3-agent-OUTPUT - [0:0]\n\
         :neutron-l3-agent-POSTROUTING - [0:0]\n\
         :neutron-l3-agent-PREROUTING - [0:0]\n\
         :neutron-l3-agent-float-snat - [0:0]\n\
         :neutron-l3-agent-snat - [0:0]\n\
         :neutron-postrouting-bottom - [0:0]\n\
         -A PREROUTING -j neutron-l3-agent-PREROUTING\n\
         -A OUTPUT -j neutron-l3-agent-OUTPUT\n\
         -A POSTROUTING -j neutron-l3-agent-POSTROUTING\n\
         -A POSTROUTING -j neutron-postrouting-bottom\n\
         -A neutron-l3-agent-OUTPUT -d {floating} -j DNAT --to-destination {floating_instance}\n\
         -A neutron-l3-agent-PREROUTING -d {floating} -j DNAT --to-destination {floating_instance}\n\
         -A neutron-l3-agent-POSTROUTING ! -o {outer} -m conntrack ! --ctstate DNAT -j ACCEPT\n\
         -A neutron-l3-agent-float-snat -s {floating_instance} -j SNAT --to-source {floating}\n\
         -A neutron-l3-agent-snat -j neutron-l3-agent-float-snat\n\
         -A neutron-l3-agent-snat -o {outer} -j SNAT --to-source {external}\n\
         -A neutron-postrouting-bottom -j neutron-l3-agent-snat\n\
         COMMIT\n"
    )
}

fn native_early() -> String {
    let (mut dnat, mut snat) = (String::new(), String::new());
    for (ip, family) in ["ip", "ip6"].into_iter().zip(Family::ALL) {
        let Addresses { floating, floating_instance, external, .. } = family.addresses();
        dnat += &format!("{ip} daddr {floating} dnat {ip} to {floating_instance}\n");
        snat += &format!("{ip} saddr {floating_instance} snat {ip} to {floating}\n");
        snat += &format!(
            "meta nfproto {} oifname {OUTER_INTERFACE} snat {ip} to {external}\n",
            if ip == "ip" { "ipv4" } else { "ipv6" }
        );
    }
    format!(
        "table inet router {{\n\
         chain before {{ type nat hook prerouting priority -100; {dnat} }}\n\
         chain after {{ type nat hook postrouting priority -100; {snat} }}\n\
         }}\n"
    )
}

/// Runs a program in the namespace with `text` as its input; it must succeed.
fn feed(netns: &Netns, program: &str, arguments: &[&str], text: &str) {
    let outcome = (|| {
        let mut child = netns
            .command(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text.as_bytes())?;
        }
        child.wait_with_output()
    })();
    let output = outcome.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    assert!(output.status.success(), "{program} failed on\n{text}\n{output:?}");
}
