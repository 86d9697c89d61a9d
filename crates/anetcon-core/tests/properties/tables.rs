//! Tables to try: those of configurations, and those that nobody would make.

use std::collections::BTreeMap;

use anetcon_core::config::{Config, NetworksScope, Protocol};
use anetcon_core::desired;
use anetcon_core::expr::{Expr, Register};
use anetcon_core::netns::NetnsName;
use anetcon_core::table::{BaseChain, Chain, Element, Rule, Set, Table};
use ipnet::IpNet;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::subsequence;

/// The table of a configuration: with and without networks, of one protocol or several.
pub fn wanted_table() -> impl Strategy<Value = Table> {
    let network = prop_oneof![
        (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(octets, len)| (octets.to_vec(), len)),
        (any::<[u8; 16]>(), 0..=128_u8).prop_map(|(octets, len)| (octets.to_vec(), len)),
    ];
    let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp, Protocol::Icmp];
    let protocols = subsequence(protocols.to_vec(), 1..=4);
    // Of each protection.
    let flags = prop_oneof![Just(0_u32), Just(2), Just(6)];
    (vec(network, 0..5), protocols, any::<bool>(), -199..=99_i32, flags).prop_map(
        |(networks, protocols, both, priority, flags)| {
            let scope = if both { NetworksScope::Both } else { NetworksScope::Outgoing };
            let networks = IpNet::aggregate(&networks.iter().map(network_of).collect());
            let mut config = Config { protocols, networks_scope: scope, ..Config::default() };
            config.rules.priority = priority;
            config.networks = BTreeMap::from([("r".to_owned(), networks)]);
            let table = desired::table(&config, &NetnsName::named("r").unwrap()).unwrap();
            Table { flags, ..table }
        },
    )
}

fn network_of((octets, len): &(Vec<u8>, u8)) -> IpNet {
    let address = match <[u8; 4]>::try_from(octets.as_slice()) {
        Ok(octets) => octets.into(),
        Err(_) => <[u8; 16]>::try_from(octets.as_slice()).unwrap().into(),
    };
    IpNet::new(address, *len).unwrap().trunc()
}

/// Tables as nobody would make them, of few and small values so that parts of two of them are often equal.
pub fn any_table() -> impl Strategy<Value = Table> {
    (name(), 0..9_u32, vec(any_set(), 0..4), vec(any_chain(), 0..4)).prop_map(
        |(name, flags, sets, chains)| Table { name, flags, foreign_owner: None, sets, chains },
    )
}

pub fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("anetcon".to_owned()), "[ab]{0,2}", "\\PC{0,4}", "[\\x00-\\x7f\\u{202e}]{0,4}"]
}

pub fn any_set() -> impl Strategy<Value = Set> {
    let key = prop_oneof![vec(0..3_u8, 0..3), vec(0..3_u8, 4..=4), vec(any::<u8>(), 16..=16)];
    let element = (key, any::<bool>(), any::<bool>())
        .prop_map(|(key, interval_end, foreign)| Element { key, interval_end, foreign });
    (name(), 6..14_u32, prop_oneof![Just(1_u32), Just(4), Just(16)], 0..9_u32, vec(element, 0..6))
        .prop_map(|(name, key_type, key_len, flags, elements)| Set {
            name,
            key_type,
            key_len,
            flags,
            elements,
        })
}

pub fn any_chain() -> impl Strategy<Value = Chain> {
    let kind = prop_oneof![Just("nat".to_owned()), name()];
    let base = (kind, 0..8_u32, -310..310_i32, 0..3_u32)
        .prop_map(|(kind, hook, priority, policy)| BaseChain { kind, hook, priority, policy });
    (name(), option::of(base), vec(any_rule(), 0..6)).prop_map(|(name, base, rules)| Chain {
        name,
        base,
        rules,
    })
}

pub fn any_rule() -> impl Strategy<Value = Rule> {
    (option::of(name()), vec(any_expr(), 0..5)).prop_map(|(comment, exprs)| Rule { comment, exprs })
}

pub fn any_expr() -> impl Strategy<Value = Expr> {
    let reg = || (0..3_u32).prop_map(Register);
    let data = || prop_oneof![Just(vec![0; 4]), vec(0..3_u8, 0..5), vec(any::<u8>(), 0..20)];
    prop_oneof![
        (14..18_u32, reg()).prop_map(|(key, dreg)| Expr::Meta { key, dreg }),
        (0..4_u32, reg()).prop_map(|(key, dreg)| Expr::Ct { key, dreg }),
        (0..3_u32, 8..17_u32, 1..17_u32, reg())
            .prop_map(|(base, offset, len, dreg)| Expr::Payload { base, offset, len, dreg }),
        (reg(), reg(), 3..6_u32, data(), data()).prop_map(|(sreg, dreg, len, mask, xor)| {
            Expr::Bitwise { sreg, dreg, len, mask, xor }
        }),
        (0..3_u32, reg(), data()).prop_map(|(op, sreg, data)| Expr::Cmp { op, sreg, data }),
        (name(), reg(), any::<bool>()).prop_map(|(set, sreg, inverted)| Expr::Lookup {
            set,
            sreg,
            inverted
        }),
        Just(Expr::Counter),
        (name(), 0..11_u32, 0..66_u32).prop_map(|(prefix, level, flags)| Expr::Log {
            prefix,
            level,
            flags
        }),
        (prop_oneof![Just("immediate".to_owned()), name()], data())
            .prop_map(|(name, data)| Expr::Other { name, data }),
    ]
}
