//! The table that should be in force in a namespace: a pure function of the configuration and its name.
//!
//! The words of each rule stand in the order in which nft writes and prints them, so that a rule of ours and
//! the same rule fed to nft are one and the same.

use ipnet::IpNet;

use crate::config::{Config, NetworksScope};
use crate::expr::{Expr, REG_1, kernel};
use crate::netns::NetnsName;
use crate::prefix::{Kind, PrefixError};
use crate::table::{BaseChain, Chain, Element, Rule, Set, Table};

/// The set of protocols, used where there is more than one.
const PROTOCOLS: &str = "protocols";

/// The table that a configuration wants in one namespace, without the flags of its protection.
///
/// # Errors
/// The namespace's name cannot stand in the log prefix (`log.namespace = "name"`).
pub fn table(config: &Config, netns: &NetnsName) -> Result<Table, PrefixError> {
    let networks = config.networks.get(netns.as_str()).map_or(&[][..], Vec::as_slice);
    let numbers = config.protocol_numbers();
    let mut rules = Vec::new();
    for kind in Kind::ALL {
        let log = Expr::Log {
            prefix: config.log.prefixes.full(kind, netns)?,
            level: config.log.level.number(),
            flags: 0,
        };
        for family in limits(config.networks_scope, kind, networks) {
            rules.push(rule(kind, &numbers, family, log.clone()));
        }
    }
    Ok(Table {
        name: config.rules.table.clone(),
        flags: 0,
        foreign_owner: None,
        sets: sets(&numbers, networks),
        chains: vec![Chain { name: config.rules.chain.clone(), base: Some(base(config)), rules }],
    })
}

/// A nat chain sees only the first packet of a connection. At a low priority it comes before every other
/// nat chain of its hook: a connection whose source is already translated skips the chains after that.
fn base(config: &Config) -> BaseChain {
    BaseChain {
        kind: "nat".to_owned(),
        hook: kernel::HOOK_POSTROUTING,
        priority: config.rules.priority,
        policy: kernel::POLICY_ACCEPT,
    }
}

/// An address family as the rules see it.
struct Family {
    name: &'static str,
    nfproto: u8,
    set: &'static str,
    key_type: u32,
    address_len: u32,
    saddr: u32,
    daddr: u32,
    holds: fn(&IpNet) -> bool,
}

/// Offsets are those of struct iphdr (linux/ip.h) and struct ipv6hdr (linux/ipv6.h).
static FAMILIES: [Family; 2] = [
    Family {
        name: "ipv4",
        nfproto: kernel::NFPROTO_IPV4,
        set: "networks4",
        key_type: kernel::TYPE_IPADDR,
        address_len: 4,
        saddr: 12,
        daddr: 16,
        holds: |network| matches!(network, IpNet::V4(_)),
    },
    Family {
        name: "ipv6",
        nfproto: kernel::NFPROTO_IPV6,
        set: "networks6",
        key_type: kernel::TYPE_IP6ADDR,
        address_len: 16,
        saddr: 8,
        daddr: 24,
        holds: |network| matches!(network, IpNet::V6(_)),
    },
];

/// The families that have networks.
fn families(networks: &[IpNet]) -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().filter(|family| networks.iter().any(family.holds))
}

/// One rule of a kind per entry: `None` for all addresses of both families.
fn limits(scope: NetworksScope, kind: Kind, networks: &[IpNet]) -> Vec<Option<&'static Family>> {
    let unlimited = kind == Kind::Float && scope == NetworksScope::Outgoing;
    if networks.is_empty() || unlimited {
        return vec![None];
    }
    families(networks).map(Some).collect()
}

fn rule(kind: Kind, numbers: &[u8], family: Option<&Family>, log: Expr) -> Rule {
    let mut exprs = match_protocols(numbers);
    exprs.extend(match_ct_bits(kernel::CT_STATE, kernel::CT_STATE_NEW, kernel::CMP_NEQ));
    let translated = match kind {
        Kind::Float => kernel::CMP_NEQ,
        Kind::Nat => kernel::CMP_EQ,
    };
    exprs.extend(match_ct_bits(kernel::CT_STATUS, kernel::CT_STATUS_DST_NAT, translated));
    exprs.extend(family.into_iter().flat_map(|family| match_network(kind, family)));
    exprs.push(Expr::Counter);
    exprs.push(log);
    Rule { comment: Some(comment(kind, family)), exprs }
}

fn comment(kind: Kind, family: Option<&Family>) -> String {
    match family {
        Some(family) => format!("anetcon {} {}", kind.as_str(), family.name),
        None => format!("anetcon {}", kind.as_str()),
    }
}

/// `meta l4proto tcp`, or `meta l4proto @protocols` where there is more than one.
fn match_protocols(numbers: &[u8]) -> Vec<Expr> {
    let load = Expr::Meta { key: kernel::META_L4PROTO, dreg: REG_1 };
    let test = match numbers {
        [number] => Expr::Cmp { op: kernel::CMP_EQ, sreg: REG_1, data: vec![*number] },
        _ => Expr::Lookup { set: PROTOCOLS.to_owned(), sreg: REG_1, inverted: false },
    };
    vec![load, test]
}

/// `ct state new`, `ct status dnat` (bits & mask != 0), `ct status ! dnat` (== 0).
fn match_ct_bits(key: u32, mask: u32, op: u32) -> [Expr; 3] {
    let zero = 0_u32.to_ne_bytes().to_vec();
    [
        Expr::Ct { key, dreg: REG_1 },
        Expr::Bitwise {
            sreg: REG_1,
            dreg: REG_1,
            len: 4,
            mask: mask.to_ne_bytes().to_vec(),
            xor: zero.clone(),
        },
        Expr::Cmp { op, sreg: REG_1, data: zero },
    ]
}

/// `ip saddr @networks4` for outgoing connections. `ip daddr` for floating ones: at postrouting the
/// destination is already the instance's own address.
fn match_network(kind: Kind, family: &Family) -> [Expr; 4] {
    let offset = match kind {
        Kind::Float => family.daddr,
        Kind::Nat => family.saddr,
    };
    [
        // Without it the kernel would read these bytes of packets of the other family too.
        Expr::Meta { key: kernel::META_NFPROTO, dreg: REG_1 },
        Expr::Cmp { op: kernel::CMP_EQ, sreg: REG_1, data: vec![family.nfproto] },
        Expr::Payload {
            base: kernel::PAYLOAD_NETWORK,
            offset,
            len: family.address_len,
            dreg: REG_1,
        },
        Expr::Lookup { set: family.set.to_owned(), sreg: REG_1, inverted: false },
    ]
}

/// The sets that the rules look into, sorted by name.
fn sets(numbers: &[u8], networks: &[IpNet]) -> Vec<Set> {
    let mut sets: Vec<Set> =
        families(networks).map(|family| network_set(family, networks)).collect();
    if numbers.len() != 1 {
        sets.push(Set {
            name: PROTOCOLS.to_owned(),
            key_type: kernel::TYPE_INET_PROTOCOL,
            key_len: 1,
            flags: 0,
            elements: numbers.iter().map(|&number| element(vec![number], false)).collect(),
        });
    }
    sets
}

fn network_set(family: &Family, networks: &[IpNet]) -> Set {
    let own = networks.iter().filter(|network| (family.holds)(network));
    let mut elements: Vec<Element> = own.flat_map(range).collect();
    elements.sort_unstable();
    elements.dedup();
    Set {
        name: family.set.to_owned(),
        key_type: family.key_type,
        key_len: family.address_len,
        flags: kernel::SET_INTERVAL,
        elements,
    }
}

/// The first address, and the one after the last: there is none after the last address of all.
fn range(network: &IpNet) -> impl Iterator<Item = Element> {
    let (first, end) = match network {
        IpNet::V4(network) => (
            network.network().octets().to_vec(),
            network.broadcast().to_bits().checked_add(1).map(|end| end.to_be_bytes().to_vec()),
        ),
        IpNet::V6(network) => (
            network.network().octets().to_vec(),
            network.broadcast().to_bits().checked_add(1).map(|end| end.to_be_bytes().to_vec()),
        ),
    };
    std::iter::once(element(first, false)).chain(end.map(|end| element(end, true)))
}

fn element(key: Vec<u8>, interval_end: bool) -> Element {
    Element { key, interval_end, foreign: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element_texts(network: &str) -> Vec<(Vec<u8>, bool)> {
        range(&network.parse().unwrap())
            .map(|element| (element.key, element.interval_end))
            .collect()
    }

    #[test]
    fn a_range_ends_with_the_address_after_its_last() {
        assert_eq!(
            element_texts("10.0.0.0/8"),
            [(vec![10, 0, 0, 0], false), (vec![11, 0, 0, 0], true)]
        );
        assert_eq!(
            element_texts("1.2.3.255/32"),
            [(vec![1, 2, 3, 255], false), (vec![1, 2, 4, 0], true)]
        );
    }

    #[test]
    fn a_range_up_to_the_last_address_has_no_end() {
        assert_eq!(element_texts("0.0.0.0/0"), [(vec![0; 4], false)]);
        assert_eq!(element_texts("255.255.255.255/32"), [(vec![255; 4], false)]);
        assert_eq!(element_texts("::/0"), [(vec![0; 16], false)]);
    }

    #[test]
    fn a_name_that_cannot_stand_in_the_prefix_has_no_table() {
        let mut config = Config::default();
        config.log.prefixes.namespace = crate::prefix::NamespaceTag::Name;
        let netns = NetnsName::named(&"a".repeat(120)).unwrap();
        assert!(table(&config, &netns).is_err());
    }
}
