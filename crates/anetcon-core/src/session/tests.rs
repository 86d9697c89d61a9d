//! Which connections are recorded, as tables of cases. That the rules log the same ones is a test of its own
//! (tests/properties_session.rs).

use super::*;
use crate::config::parse;

const CONFIRMED: u32 = 1 << 3;
const SNAT: u32 = CONFIRMED | status::SRC_NAT;
const DNAT: u32 = CONFIRMED | status::DST_NAT;
const BOTH: u32 = SNAT | DNAT;
const TCP: u8 = 6;

/// A connection from `source` to `dialled`, answered by `server`, which sees it come from `seen`.
fn flow(status: u32, [source, seen]: [&str; 2], [dialled, server]: [&str; 2]) -> Flow {
    let at = |address: &str| SocketAddr::new(address.parse().unwrap(), 1);
    let tuple = |source, destination| Tuple {
        protocol: TCP,
        source: at(source),
        destination: at(destination),
        icmp: None,
    };
    Flow {
        id: 1,
        zone: 0,
        status,
        original: tuple(source, dialled),
        reply: tuple(server, seen),
        counters: None,
        start: None,
        stop: None,
    }
}

fn limits_in(netns: &str, text: &str) -> Limits {
    let config = parse(text).unwrap_or_else(|errors| panic!("{errors}"));
    Limits::new(&config, &NetnsName::named(netns).unwrap_or_else(NetnsName::root))
}

fn limits(text: &str) -> Limits {
    limits_in("qrouter-1", text)
}

#[test]
fn the_action_is_what_was_translated() {
    for (status, action, word) in [
        (CONFIRMED, Action::Direct, "direct"),
        (SNAT, Action::Nat, "nat"),
        (DNAT, Action::Float, "float"),
        // Between two floating addresses of one router both are translated.
        (BOTH, Action::Float, "float"),
        // Every other bit there is.
        (!BOTH, Action::Direct, "direct"),
    ] {
        assert_eq!(Action::of(status), action, "{status:x}");
        assert_eq!(action.as_str(), word);
    }
}

#[test]
fn networks_limit_each_kind_on_its_own_side() {
    let both = limits("networks = { qrouter-1 = ['10.0.0.0/8', 'fd00::/8'] }");
    let outgoing = limits(
        "networks_scope = 'outgoing'\nnetworks = { qrouter-1 = ['10.0.0.0/8', 'fd00::/8'] }",
    );
    // Status, source and what it looks like, destination dialled and the one behind, recorded by each.
    let cases = [
        (SNAT, ["10.0.0.1", "203.0.113.1"], ["192.0.2.1"; 2], Some(Action::Nat), true),
        (SNAT, ["172.16.0.1", "203.0.113.1"], ["192.0.2.1"; 2], None, true),
        (SNAT, ["fd00::1", "2001:db8::1"], ["2001:db8::2"; 2], Some(Action::Nat), true),
        (SNAT, ["fc00::1", "2001:db8::1"], ["2001:db8::2"; 2], None, true),
        // Neither the address it looks like nor the remote one counts.
        (SNAT, ["172.16.0.1", "10.0.0.1"], ["10.0.0.2"; 2], None, true),
        (CONFIRMED, ["10.0.0.1"; 2], ["192.0.2.1"; 2], Some(Action::Direct), true),
        (CONFIRMED, ["192.0.2.1"; 2], ["10.0.0.1"; 2], None, true),
        (DNAT, ["192.0.2.1"; 2], ["203.0.113.1", "10.0.0.1"], Some(Action::Float), true),
        (DNAT, ["192.0.2.1"; 2], ["203.0.113.1", "172.16.0.1"], None, false),
        (DNAT, ["10.0.0.2"; 2], ["10.0.0.3", "172.16.0.1"], None, false),
        (DNAT, ["2001:db8::1"; 2], ["2001:db8::2", "fd00::1"], Some(Action::Float), true),
        (DNAT, ["2001:db8::1"; 2], ["2001:db8::2", "fc00::1"], None, false),
        // Between two floating addresses: by the instance that is called.
        (
            BOTH,
            ["172.16.0.1", "203.0.113.2"],
            ["203.0.113.1", "10.0.0.1"],
            Some(Action::Float),
            true,
        ),
        (BOTH, ["10.0.0.1", "203.0.113.2"], ["203.0.113.1", "172.16.0.1"], None, false),
    ];
    for (status, sources, destinations, expected, scope_is_the_same) in cases {
        let flow = flow(status, sources, destinations);
        assert_eq!(both.action(&flow), expected, "{flow:?}");
        let unlimited = if scope_is_the_same { expected } else { Some(Action::Float) };
        assert_eq!(outgoing.action(&flow), unlimited, "{flow:?}");
    }
}

#[test]
fn a_namespace_without_networks_is_recorded_in_full() {
    let text = "networks = { qrouter-1 = ['10.0.0.0/8'], default = ['10.9.0.0/16'] }";
    let outside = flow(CONFIRMED, ["10.9.0.1"; 2], ["192.0.2.1"; 2]);
    let far = flow(CONFIRMED, ["10.8.0.1"; 2], ["192.0.2.1"; 2]);
    let farther = flow(CONFIRMED, ["172.16.0.1"; 2], ["192.0.2.1"; 2]);
    for (netns, recorded) in [
        ("qrouter-1", [true, true, false]),
        ("qrouter-2", [true; 3]),
        ("default", [true, false, false]),
    ] {
        let limits = limits_in(netns, text);
        let found = [&outside, &far, &farther].map(|flow| limits.action(flow).is_some());
        assert_eq!(found, recorded, "{netns}");
    }
}

#[test]
fn networks_of_one_family_leave_the_other_out() {
    let limits = limits("networks = { qrouter-1 = ['10.0.0.0/8'] }");
    assert_eq!(limits.action(&flow(SNAT, ["fd00::1", "2001:db8::1"], ["2001:db8::2"; 2])), None);
}

#[test]
fn every_network_of_a_long_list_is_found() {
    let list: Vec<String> = (0..200).map(|n| format!("'10.{n}.1.0/24'")).collect();
    let limits = limits(&format!("networks = {{ qrouter-1 = [{}] }}", list.join(", ")));
    for n in 0..200 {
        for (address, held) in [(0, false), (1, true), (2, false)] {
            for last in [0, 255] {
                let source = format!("10.{n}.{address}.{last}");
                let flow = flow(CONFIRMED, [&source, &source], ["192.0.2.1"; 2]);
                assert_eq!(limits.action(&flow).is_some(), held, "{source}");
            }
        }
    }
}

#[test]
fn only_configured_protocols_are_recorded() {
    for (text, recorded) in [
        ("", vec![6]),
        ("protocols = ['udp', 'icmp']", vec![1, 17, 58]),
        ("protocols = ['sctp', 'tcp']", vec![6, 132]),
    ] {
        let limits = limits(text);
        let found: Vec<u8> = (0..=255)
            .filter(|&protocol| {
                let mut flow = flow(SNAT, ["10.0.0.1", "203.0.113.1"], ["192.0.2.1"; 2]);
                flow.original.protocol = protocol;
                limits.action(&flow).is_some()
            })
            .collect();
        assert_eq!(found, recorded, "{text}");
    }
}
