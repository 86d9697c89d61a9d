//! Every way through a router: our events name both sides of each connection, exactly as `conntrack -E` does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

mod common;

use std::net::{SocketAddr, TcpListener};

use anetcon_conntrack::Event;
use anetcon_core::session::{Action, EventKind};
use anetcon_testkit::beside::Beside;
use anetcon_testkit::nat::Nat;
use anetcon_testkit::topology::{Family, Router};
use anetcon_testkit::traffic::{Connection, Path};
use common::{
    ICMP, ICMPV6, TCP, UDP, assert_kind, connect_from, event_of, events, filter, lines, open,
    router, run, told,
};

/// Makes connections and compares: with what both sides saw, and with `conntrack -E`.
fn check(
    router: &Router,
    protocols: &[u8],
    action: Action,
    connect: impl FnOnce() -> Vec<Connection>,
) -> Vec<Event> {
    let mut conntrack = open(&router.netns, &filter(protocols));
    let beside = Beside::start(&router.netns, "NEW");
    let connections = connect();
    let events = events(&mut conntrack, connections.len());
    assert_kind(&events, EventKind::New);
    for connection in &connections {
        let event = event_of(&events, connection);
        assert_eq!(Action::of(event.flow.status), action, "{event:#?}");
        assert_eq!(event.flow.zone, 0);
    }
    assert_eq!(lines(&events), told(&beside, protocols, connections.len()));
    events
}

fn every_way(nat: Nat) {
    let router = Router::new("ct-nat");
    nat.install(&router);
    for family in Family::ALL {
        let addresses = family.addresses();
        let events = check(&router, &[TCP], Action::Nat, || {
            let floating = router.outgoing_from(family, addresses.floating_instance);
            let mut connections = router.outgoing(family).connect_many(3);
            connections.push(floating.connect());
            connections
        });
        let outside = events.last().unwrap().flow.reply.destination.ip();
        assert_eq!(outside, addresses.floating);
        check(&router, &[TCP], Action::Float, || router.to_floating(family).connect_many(3));
    }
}

#[test]
fn through_a_native_table() {
    every_way(Nat::NativeEarly);
}

#[test]
fn through_iptables_nft() {
    every_way(Nat::IptablesNft);
}

#[test]
fn through_iptables_legacy() {
    every_way(Nat::IptablesLegacy);
}

#[test]
fn two_instances_with_one_source_port() {
    let router = router("ct-port");
    for family in Family::ALL {
        let addresses = family.addresses();
        let listener = router.outside.run(|| TcpListener::bind((addresses.remote, 0))).unwrap();
        let mut open_ends = Vec::new();
        let events = check(&router, &[TCP], Action::Nat, || {
            let instances = [addresses.instance, addresses.second_instance];
            let made = instances.map(|address| {
                let source = SocketAddr::new(address, 40_000);
                connect_from(&router, source, &listener, addresses.remote)
            });
            made.map(|(ends, connection)| {
                open_ends.push(ends);
                connection
            })
            .to_vec()
        });
        let outside: Vec<SocketAddr> =
            events.iter().map(|event| event.flow.reply.destination).collect();
        assert_eq!(outside[0].port(), 40_000);
        assert_ne!(outside[1].port(), 40_000, "the second got a port of its own");
        assert_eq!(outside[0].ip(), outside[1].ip());
    }
}

/// An instance calls the floating address of another: both sides are translated.
#[test]
fn between_two_floating_addresses() {
    let router = router("ct-hair");
    run(
        &router.netns,
        "nft",
        &["add table inet second; \
           add chain inet second after { type nat hook postrouting priority -110; }; \
           add rule inet second after ip saddr 10.8.0.20 snat ip to 203.0.113.11; \
           add rule inet second after ip6 saddr fd00:8::20 snat ip6 to 2001:db8:203::11"],
    );
    for (family, second) in Family::ALL.into_iter().zip(["203.0.113.11", "2001:db8:203::11"]) {
        let addresses = family.addresses();
        let events = check(&router, &[TCP], Action::Float, || {
            let path = Path {
                client: &router.inside,
                source: addresses.second_instance,
                server: &router.inside,
                listen: addresses.floating_instance,
                dial: addresses.floating,
            };
            path.connect_many(2)
        });
        for event in events {
            assert_eq!(event.flow.reply.destination.ip().to_string(), second);
        }
    }
}

#[test]
fn without_translation() {
    let router = Router::new("ct-plain");
    run(
        &router.netns,
        "nft",
        &["add table inet t; add chain inet t c { type filter hook forward priority 0; }; \
           add rule inet t c ct state new counter"],
    );
    run(&router.outside, "ip", &["route", "add", "10.7.0.0/24", "via", "198.51.100.1"]);
    run(&router.outside, "ip", &["route", "add", "fd00:7::/64", "via", "2001:db8:51::1"]);
    for family in Family::ALL {
        check(&router, &[TCP], Action::Direct, || router.outgoing(family).connect_many(2));
    }
}

#[test]
fn datagrams_and_echoes() {
    let router = router("ct-udp");
    for family in Family::ALL {
        let out = router.outgoing(family);
        check(&router, &[UDP], Action::Nat, || vec![out.exchange_datagrams()]);
        check(&router, &[TCP, UDP], Action::Float, || {
            vec![
                router.to_floating(family).exchange_datagrams(),
                router.to_floating(family).connect(),
            ]
        });
        // An echo has no ports that its sides could tell.
        let mut conntrack = open(&router.netns, &filter(&[ICMP, ICMPV6]));
        let beside = Beside::start(&router.netns, "NEW");
        let connection = out.echo();
        let events = events(&mut conntrack, 1);
        assert_eq!(lines(&events), told(&beside, &[ICMP, ICMPV6], 1));
        let tuples = [events[0].flow.original, events[0].flow.reply];
        let (request, reply) = if family == Family::V4 { (8, 0) } else { (128, 129) };
        assert_eq!(tuples.map(|tuple| tuple.icmp.unwrap().kind), [request, reply]);
        assert_eq!(tuples.map(|tuple| tuple.icmp.unwrap().id)[0], connection.client.port());
        assert_eq!(tuples[0].source.ip(), connection.client.ip());
        assert_eq!(tuples[1].destination.ip(), family.addresses().external);
    }
}
