//! Records and kernel lines have the same limits: for any configuration and connection, a record is made exactly
//! where a rule would log, and as what that rule is for.
//!
//! The rules are run here as the kernel runs them: word for word over the first packet at postrouting, whose
//! destination is already translated and whose source is not yet.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what cannot be read or found fails the test"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anetcon_core::config::{Config, NetworksScope, Protocol};
use anetcon_core::desired;
use anetcon_core::expr::{Expr, kernel};
use anetcon_core::netns::NetnsName;
use anetcon_core::session::{Action, Flow, Limits, Tuple};
use anetcon_core::table::{Rule, Table};
use ipnet::IpNet;
use proptest::prelude::*;

/// Addresses from a small range, so that networks hold some of them.
fn addresses(v6: bool) -> impl Strategy<Value = IpAddr> {
    any::<u8>().prop_map(move |low| match v6 {
        false => Ipv4Addr::new(10, 0, 0, low).into(),
        true => Ipv6Addr::from((0xfd00 << 112) + u128::from(low)).into(),
    })
}

fn network() -> impl Strategy<Value = IpNet> {
    (any::<bool>(), 0u8..=6).prop_flat_map(|(v6, host_bits)| {
        addresses(v6).prop_map(move |address| {
            IpNet::new(address, if v6 { 128 } else { 32 } - host_bits).unwrap().trunc()
        })
    })
}

fn config() -> impl Strategy<Value = Config> {
    let protocols = prop::sample::subsequence(
        vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp, Protocol::Icmp],
        1..=4,
    );
    let networks = prop::collection::vec(network(), 0..4);
    (protocols, networks, any::<bool>()).prop_map(|(protocols, networks, both)| {
        let mut config = Config { protocols, ..Config::default() };
        config.networks_scope = if both { NetworksScope::Both } else { NetworksScope::Outgoing };
        if !networks.is_empty() {
            config.networks.insert("n".to_owned(), IpNet::aggregate(&networks));
        }
        config
    })
}

fn flow() -> impl Strategy<Value = Flow> {
    let protocol = prop::sample::select(vec![1u8, 6, 17, 58, 132, 47]);
    any::<bool>().prop_flat_map(move |v6| {
        let address = || addresses(v6).prop_map(|address| SocketAddr::new(address, 7));
        let ends = (address(), address(), address(), address());
        (protocol.clone(), any::<u16>(), ends).prop_map(|(protocol, status, (a, b, c, d))| {
            let tuple = |source, destination| Tuple { protocol, source, destination, icmp: None };
            Flow {
                id: 0,
                zone: 0,
                status: status.into(),
                original: tuple(a, b),
                reply: tuple(c, d),
                counters: None,
                start: None,
                stop: None,
            }
        })
    })
}

/// Whether a packet comes to the log word of a rule.
fn logs(table: &Table, rule: &Rule, flow: &Flow) -> bool {
    let mut register = Vec::new();
    for expr in &rule.exprs {
        let goes_on = match expr {
            Expr::Meta { key: kernel::META_L4PROTO, .. } => {
                load(&mut register, &[flow.original.protocol])
            }
            Expr::Meta { key: kernel::META_NFPROTO, .. } => load(&mut register, &[nfproto(flow)]),
            Expr::Ct { key: kernel::CT_STATE, .. } => load(&mut register, &8u32.to_ne_bytes()),
            Expr::Ct { key: kernel::CT_STATUS, .. } => {
                load(&mut register, &flow.status.to_ne_bytes())
            }
            Expr::Payload { offset, len, .. } => {
                let start = *offset as usize;
                load(&mut register, &header(flow)[start..start + *len as usize])
            }
            Expr::Bitwise { mask, .. } => {
                register.iter_mut().zip(mask).for_each(|(byte, mask)| *byte &= mask);
                true
            }
            Expr::Cmp { op, data, .. } => (register == *data) == (*op == kernel::CMP_EQ),
            Expr::Lookup { set, .. } => holds(table, set, &register),
            Expr::Log { .. } => return true,
            Expr::Counter => true,
            other => panic!("a word that the test does not know: {other:?}"),
        };
        if !goes_on {
            return false;
        }
    }
    false
}

fn load(register: &mut Vec<u8>, bytes: &[u8]) -> bool {
    *register = bytes.to_vec();
    true
}

fn nfproto(flow: &Flow) -> u8 {
    if flow.original.source.is_ipv4() { 2 } else { 10 }
}

/// The addresses where an IPv4 or IPv6 header has them.
fn header(flow: &Flow) -> Vec<u8> {
    let (source, destination) = (flow.original.source.ip(), flow.reply.source.ip());
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            [&[0; 12][..], &source.octets(), &destination.octets()].concat()
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            [&[0; 8][..], &source.octets(), &destination.octets()].concat()
        }
        _ => panic!("two families in one packet"),
    }
}

/// An interval set: the last element at or before the key decides, and must be a start.
fn holds(table: &Table, set: &str, key: &[u8]) -> bool {
    let set = table.sets.iter().find(|known| known.name == set).unwrap();
    if set.flags & kernel::SET_INTERVAL == 0 {
        return set.elements.iter().any(|element| element.key == key);
    }
    // Where one network ends and the next begins, the start counts.
    let before = set.elements.iter().filter(|element| element.key.as_slice() <= key);
    before
        .max_by_key(|element| (element.key.clone(), !element.interval_end))
        .is_some_and(|element| !element.interval_end)
}

proptest! {
    // A failing case is printed; a test run leaves no file in the tree.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn a_connection_is_recorded_exactly_where_its_rule_logs(config in config(), flow in flow()) {
        let netns = NetnsName::named("n").unwrap();
        let table = desired::table(&config, &netns).unwrap();
        let logging: Vec<&str> = table.chains[0]
            .rules
            .iter()
            .filter(|rule| logs(&table, rule, &flow))
            .map(|rule| rule.comment.as_deref().unwrap())
            .collect();
        match Limits::new(&config, &netns).action(&flow) {
            None => prop_assert_eq!(logging, Vec::<&str>::new()),
            Some(action) => {
                let kind = if action == Action::Float { "anetcon float" } else { "anetcon nat" };
                prop_assert!(logging.len() == 1 && logging[0].starts_with(kind), "{:?}: {:?}", action, logging);
            }
        }
    }
}
