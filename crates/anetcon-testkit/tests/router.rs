//! The testkit's router: every way of translating is checked by what each side saw and by `conntrack`.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use anetcon_testkit::kernel_log::KernelLog;
use anetcon_testkit::nat::Nat;
use anetcon_testkit::netns::{Netns, unique, wait_until};
use anetcon_testkit::topology::{Family, Router};
use anetcon_testkit::traffic::Connection;

/// Whether `conntrack -L` in the router has an entry with these addresses: source and destination as sent,
/// then as expected in answers.
fn translated(router: &Router, protocol: &str, family: Family, addresses: [IpAddr; 4]) -> bool {
    let family = if family == Family::V4 { "ipv4" } else { "ipv6" };
    let mut command = router.netns.command("conntrack");
    let output = command.args(["-L", "-f", family, "-p", protocol]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let wanted: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    let table = String::from_utf8(output.stdout).unwrap();
    table.lines().any(|line| {
        let words = line.split_whitespace();
        let found: Vec<_> = words
            .filter_map(|word| word.strip_prefix("src=").or_else(|| word.strip_prefix("dst=")))
            .collect();
        found == wanted
    })
}

fn check(nat: Nat) {
    let router = Router::new("nat");
    nat.install(&router);
    for family in Family::ALL {
        let addresses = family.addresses();
        let (remote, floating) = (addresses.remote, addresses.floating);
        let instance = addresses.floating_instance;

        let seen = |connection: Connection| connection.seen_client.ip();
        let floated = router.to_floating(family).connect();
        assert_eq!(seen(floated), remote, "the instance sees who calls");
        assert!(translated(&router, "tcp", family, [remote, floating, instance, remote]));

        let source = addresses.instance;
        let out = router.outgoing(family);
        for (protocol, connection) in [("tcp", out.connect()), ("udp", out.exchange_datagrams())] {
            assert_eq!(seen(connection), addresses.external, "{protocol}: the router's address");
            assert_eq!(connection.client.ip(), source);
            assert!(
                translated(&router, protocol, family, [source, remote, remote, addresses.external]),
                "{protocol} {family:?} is not in the table"
            );
        }
        out.echo();

        let from_floating = router.outgoing_from(family, instance);
        assert_eq!(seen(from_floating.connect()), floating, "the instance's own floating IP");
        let second = router.outgoing_from(family, addresses.second_instance);
        assert_eq!(seen(second.connect()), addresses.external);
        router.to_floating(family).exchange_datagrams();
        router.to_floating(family).echo();
    }
}

#[test]
fn iptables_nft_translates() {
    check(Nat::IptablesNft);
}

#[test]
fn iptables_legacy_translates() {
    check(Nat::IptablesLegacy);
}

#[test]
fn a_native_table_translates() {
    check(Nat::NativeEarly);
}

#[test]
fn a_table_made_over_netlink_translates() {
    check(Nat::Netlink);
}

#[test]
fn without_translation_nothing_is_answered() {
    let router = Router::new("plain");
    for family in Family::ALL {
        assert!(router.to_floating(family).try_connect().is_err());
    }
}

#[test]
fn many_connections_have_a_port_each() {
    let router = Router::new("many");
    Nat::Netlink.install(&router);
    let mut ports: Vec<_> = router
        .outgoing(Family::V4)
        .connect_many(30)
        .into_iter()
        .map(|connection| connection.client.port())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 30);
}

#[test]
fn the_kernel_log_shows_tagged_lines_and_settles() {
    fs::write("/proc/sys/net/netfilter/nf_log_all_netns", "1").unwrap();
    let tag = unique("log");
    let router = Router::new("log");
    Nat::Netlink.install(&router);
    let rule = format!(
        "add table inet t; add chain inet t c {{ type filter hook forward priority 0; }}; \
         add rule inet t c ct state new tcp flags syn log prefix \"{tag} \""
    );
    let output = router.netns.command("nft").arg(rule).output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let mut log = KernelLog::follow(&tag);
    let connections = router.outgoing(Family::V4).connect_many(3);
    let lines = log.settled().to_vec();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for (line, connection) in lines.iter().zip(connections) {
        assert!(line.contains(&format!("SPT={}", connection.client.port())), "{line}");
    }
    assert_eq!(log.wait_for(3, Duration::from_secs(1)).len(), 3);
}

#[test]
fn a_router_leaves_nothing_behind() {
    let router = Router::new("gone");
    let paths = [&router.inside, &router.netns, &router.outside]
        .map(|netns: &Netns| netns.path().to_owned());
    assert!(paths.iter().all(|path| path.exists()));
    drop(router);
    wait_until("the names are gone", Duration::from_secs(5), || {
        !paths.iter().any(|path| path.exists())
    });
}
