//! Properties of the configuration that hold for any input.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what cannot be read or found fails the test"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anetcon_core::config::{self, Config};
use anetcon_core::netns::NetnsName;
use ipnet::IpNet;
use proptest::prelude::*;

const SHIPPED: &str = include_str!("../../../conf/anetcon.toml");

fn config(text: &str) -> Config {
    config::parse(text).unwrap_or_else(|errors| panic!("{}", errors.render("test", text, false)))
}

/// The merged networks of one namespace, read back from a configuration that lists these.
fn merged(networks: &[IpNet]) -> Vec<IpNet> {
    let list: Vec<String> = networks.iter().map(|network| format!("\"{network}\"")).collect();
    let config = config(&format!("[networks]\nqrouter-1 = [{}]\n", list.join(", ")));
    config.networks.get("qrouter-1").cloned().unwrap_or_default()
}

/// Addresses from a small range, so that networks overlap and touch each other.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u16>().prop_map(|low| Ipv4Addr::from(0x0a00_0000 + u32::from(low)).into()),
        any::<u16>().prop_map(|low| Ipv6Addr::from((0xfd00 << 112) + u128::from(low)).into()),
    ]
}

fn network() -> impl Strategy<Value = IpNet> {
    (address(), 0u8..=18).prop_map(|(address, host_bits)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        IpNet::new(address, longest - host_bits).unwrap()
    })
}

proptest! {
    // A failing case is printed; a test run leaves no file in the tree.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]


    #[test]
    fn merging_covers_the_same_addresses(
        networks in proptest::collection::vec(network(), 1..12),
        addresses in proptest::collection::vec(address(), 20),
    ) {
        let merged = merged(&networks);
        let edges = networks.iter().flat_map(|network| [network.network(), network.broadcast()]);
        for address in addresses.into_iter().chain(edges) {
            let before = networks.iter().any(|network| network.contains(&address));
            let after = merged.iter().any(|network| network.contains(&address));
            prop_assert_eq!(before, after, "{} in {:?}", address, merged);
        }
    }

    #[test]
    fn merged_networks_are_sorted_disjoint_and_minimal(
        networks in proptest::collection::vec(network(), 1..12),
    ) {
        let merged = merged(&networks);
        for pair in merged.windows(2) {
            prop_assert!(pair[0] < pair[1], "{:?}", merged);
            prop_assert!(!pair[0].contains(&pair[1]) && !pair[1].contains(&pair[0]), "{:?}", merged);
            let siblings = pair[0].supernet().is_some() && pair[0].supernet() == pair[1].supernet();
            prop_assert!(!siblings, "{:?} could be one", pair);
        }
        for network in &merged {
            prop_assert_eq!(network.addr(), network.network());
        }
    }

    #[test]
    fn the_order_of_networks_does_not_matter(
        networks in proptest::collection::vec(network(), 1..12).prop_shuffle(),
    ) {
        let mut sorted = networks.clone();
        sorted.sort();
        prop_assert_eq!(merged(&networks), merged(&sorted));
    }

    #[test]
    fn patterns_are_alternatives(
        patterns in proptest::collection::btree_set("[a-c]{1,3}|default|\\^[ab]|b\\$", 1..5),
        name in "[a-c]{1,4}|default",
    ) {
        let select = |patterns: &[&String]| {
            config(&format!("namespaces = {patterns:?}")).selection
        };
        let netns = NetnsName::named(&name).unwrap_or_else(NetnsName::root);
        let all: Vec<&String> = patterns.iter().collect();
        let each = all.iter().any(|&pattern| select(&[pattern]).matches(&netns));
        prop_assert_eq!(select(&all).matches(&netns), each);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z=\\[\\]\"'.#0-9\\\\\u{1}\u{fc}\r\n -]{0,60}") {
        if let Err(errors) = config::parse(&text) {
            prop_assert!(!errors.diagnostics.is_empty());
            prop_assert!(errors.render("f", &text, true).contains("error"));
        }
    }

    #[test]
    fn the_shipped_file_with_a_piece_changed_is_read_or_refused(
        at in 0..SHIPPED.len(), length in 0usize..20, piece in ".{0,3}",
    ) {
        let mut text = SHIPPED.to_owned();
        text.replace_range(at..(at + length).min(SHIPPED.len()), &piece);
        if let Err(errors) = config::parse(&text) {
            prop_assert!(!errors.diagnostics.is_empty());
            prop_assert!(errors.render("f", &text, false).contains("--> f:"));
        }
    }
}

#[test]
fn bare_addresses_and_host_bits_are_networks() {
    let config = config(
        "[networks]\ndefault = [\"192.168.1.1/24\", \"10.1.2.3\", \"fd00::5\", \"fd00::4\", \"0.0.0.0/2\"]",
    );
    let networks: Vec<String> = config.networks["default"].iter().map(IpNet::to_string).collect();
    assert_eq!(networks, ["0.0.0.0/2", "192.168.1.0/24", "fd00::4/127"]);
}
