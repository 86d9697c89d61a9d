//! What we write, read back by nft: it must be what was wanted and read as if a person had written it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use anetcon_core::config::{self, Config};
use anetcon_core::expr::{Expr, REG_1};
use anetcon_core::plan::Plan;
use anetcon_core::table::{Element, Table};
use anetcon_nft::Error;
use common::{Place, wanted, wanted_by};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::json;

/// Writes the table and compares what nft prints.
#[track_caller]
fn check(wanted: &Table, expected: &str) {
    let mut place = Place::with("nft-write", wanted);
    assert_eq!(place.listing(), expected);
    assert_eq!(place.table().as_ref(), Some(wanted));
}

#[test]
fn without_networks_there_are_two_rules() {
    check(
        &wanted(&[]),
        r#"table inet anetcon {
	chain anetcon {
		type nat hook postrouting priority mangle; policy accept;
		meta l4proto tcp ct state new ct status dnat counter packets 0 bytes 0 log prefix "[ANETCON][D][5d41402a] " comment "anetcon float"
		meta l4proto tcp ct state new ct status ! dnat counter packets 0 bytes 0 log prefix "[ANETCON][X][5d41402a] " comment "anetcon nat"
	}
}
"#,
    );
}

#[test]
fn networks_of_both_families_are_sets() {
    check(
        &wanted(&["10.0.0.0/8", "192.168.1.1/24", "fd00:1::/32"]),
        r#"table inet anetcon {
	set networks4 {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8, 192.168.1.0/24 }
	}

	set networks6 {
		type ipv6_addr
		flags interval
		elements = { fd00:1::/32 }
	}

	chain anetcon {
		type nat hook postrouting priority mangle; policy accept;
		meta l4proto tcp ct state new ct status dnat ip daddr @networks4 counter packets 0 bytes 0 log prefix "[ANETCON][D][5d41402a] " comment "anetcon float ipv4"
		meta l4proto tcp ct state new ct status dnat ip6 daddr @networks6 counter packets 0 bytes 0 log prefix "[ANETCON][D][5d41402a] " comment "anetcon float ipv6"
		meta l4proto tcp ct state new ct status ! dnat ip saddr @networks4 counter packets 0 bytes 0 log prefix "[ANETCON][X][5d41402a] " comment "anetcon nat ipv4"
		meta l4proto tcp ct state new ct status ! dnat ip6 saddr @networks6 counter packets 0 bytes 0 log prefix "[ANETCON][X][5d41402a] " comment "anetcon nat ipv6"
	}
}
"#,
    );
}

#[test]
fn networks_of_one_family_leave_the_other_out() {
    for (network, set) in [("10.0.0.0/8", "networks4"), ("fd00::/8", "networks6")] {
        let place = Place::with("nft-family", &wanted(&[network]));
        let objects = place.json();
        let sets: Vec<_> = objects.iter().filter_map(|object| object.get("set")).collect();
        assert_eq!(sets.len(), 1, "{sets:?}");
        assert_eq!(sets[0]["name"], set);
        let rules = objects.iter().filter(|object| object.get("rule").is_some()).count();
        assert_eq!(rules, 2);
    }
}

#[test]
fn nft_s_json_shows_the_same_words() {
    let place = Place::with("nft-json", &wanted(&["10.0.0.0/8"]));
    let objects = place.json();
    let rule =
        objects.iter().find(|object| object["rule"]["comment"] == "anetcon nat ipv4").unwrap();
    assert_eq!(
        rule["rule"]["expr"],
        json!([
            {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}},
            {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "new"}},
            {"match": {"op": "!", "left": {"ct": {"key": "status"}}, "right": "dnat"}},
            {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@networks4"}},
            {"counter": {"packets": 0, "bytes": 0}},
            {"log": {"prefix": "[ANETCON][X][5d41402a] "}},
        ])
    );
    let set = objects.iter().find(|object| object["set"]["name"] == "networks4").unwrap();
    assert_eq!(set["set"]["elem"], json!([{"prefix": {"addr": "10.0.0.0", "len": 8}}]));
}

#[test]
fn several_protocols_are_a_set() {
    let text = "protocols = [\"tcp\", \"udp\", \"icmp\"]\n[log]\nlevel = \"info\"\n";
    let wanted = wanted_by(config::parse(text).unwrap(), &[]);
    let mut place = Place::with("nft-protocols", &wanted);
    let listing = place.listing();
    assert!(listing.contains("type inet_proto\n"), "{listing}");
    assert!(listing.contains("elements = { icmp, tcp, udp,"), "{listing}");
    assert!(listing.contains("meta l4proto @protocols ct state new"), "{listing}");
    assert!(listing.contains("] \" level info comment"), "{listing}");
    assert_eq!(place.table(), Some(wanted));
}

#[test]
fn ranges_at_the_ends_and_side_by_side_are_kept() {
    let networks =
        ["0.0.0.0/8", "10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8", "240.0.0.0/4", "ff00::/8"];
    let wanted = wanted(&networks);
    let mut place = Place::with("nft-ranges", &wanted);
    let listing = place.listing();
    assert!(listing.contains("0.0.0.0/8, 10.0.0.0/8,"), "{listing}");
    assert!(listing.contains("240.0.0.0/4 }"), "{listing}");
    assert!(listing.contains("elements = { ff00::/8 }"), "{listing}");
    assert_eq!(place.table(), Some(wanted));
}

#[test]
fn all_addresses_are_one_range() {
    let wanted = wanted(&["0.0.0.0/0", "::/0"]);
    let mut place = Place::with("nft-all", &wanted);
    assert_eq!(place.table(), Some(wanted));
}

#[test]
fn thousands_of_networks_are_one_batch() {
    // Every second /24 and /48, so that none can be merged with its neighbour.
    let networks: Vec<String> = (0..5000_u32)
        .flat_map(|n| {
            let (high, low) = (n * 2 / 256, n * 2 % 256);
            [format!("10.{high}.{low}.0/24"), format!("fd00:0:{:x}::/48", n * 2)]
        })
        .collect();
    let networks: Vec<&str> = networks.iter().map(String::as_str).collect();
    let wanted = wanted(&networks);
    assert!(wanted.sets.iter().all(|set| set.elements.len() == 10_000));
    let mut place = Place::with("nft-large", &wanted);
    assert!(place.table().as_ref() == Some(&wanted), "what was read differs");
    let objects = place.json();
    let set = objects.iter().find(|object| object["set"]["name"] == "networks6").unwrap();
    assert_eq!(set["set"]["elem"].as_array().unwrap().len(), 5000);
    // Once more over the table that exists.
    place.write(&wanted).unwrap();
    assert_eq!(place.plan(&wanted), Plan::Nothing);
}

#[test]
fn a_refused_batch_names_the_object_and_changes_nothing() {
    let good = wanted(&["10.0.0.0/8"]);
    let mut place = Place::with("nft-refused", &good);
    let before = place.rules.observe("anetcon").unwrap();
    let mut lookup = good.clone();
    for expr in &mut lookup.chains[0].rules[1].exprs {
        if let Expr::Lookup { set, .. } = expr {
            "nowhere".clone_into(set);
        }
    }
    let mut hook = good.clone();
    hook.chains[0].base.as_mut().unwrap().kind = "nonsense".to_owned();
    let mut overlap = good.clone();
    overlap.sets[0].elements.push(Element {
        key: vec![10, 1, 0, 0],
        interval_end: false,
        foreign: false,
    });
    let mut register = good.clone();
    register.chains[0].rules[0].exprs[0] = Expr::Meta { key: 9999, dreg: REG_1 };
    for (bad, named, because) in [
        (lookup, "rule `anetcon nat ipv4`", &[Errno::ENOENT][..]),
        (hook, "chain `anetcon`", &[Errno::ENOENT]),
        // Which of two depends on the kernel.
        (overlap, "elements of set `networks4`", &[Errno::EEXIST, Errno::ENOTEMPTY]),
        (register, "rule `anetcon float ipv4`", &[Errno::EOPNOTSUPP, Errno::ERANGE]),
    ] {
        match place.write(&bad).unwrap_err() {
            Error::Refused { object, errno, .. } => {
                assert_eq!(object, named);
                assert!(because.contains(&errno), "{object}: {errno}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(place.rules.observe("anetcon").unwrap(), before);
    }
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is_sent() {
    let good = wanted(&["10.0.0.0/8"]);
    let mut place = Place::with("nft-unwritable", &good);
    let before = place.rules.observe("anetcon").unwrap();
    type Change = fn(&mut Table);
    let changes: [(&str, Change); 10] = [
        ("table `a\0b`", |table| table.name = "a\0b".into()),
        ("chain `c\0d`", |table| table.chains[0].name = "c\0d".into()),
        ("set `sss", |table| table.sets[0].name = "s".repeat(300)),
        ("rule `xxx", |table| table.chains[0].rules[0].comment = Some("x".repeat(200))),
        ("rule `anetcon float ipv4`", |table| {
            table.chains[0].rules[0].exprs.push(Expr::Other { name: "x".into(), data: vec![] });
        }),
        ("rule `anetcon float ipv4`", |table| {
            let data = vec![0; 17];
            table.chains[0].rules[0].exprs.push(Expr::Cmp { op: 0, sreg: REG_1, data });
        }),
        ("rule `anetcon float ipv4`", |table| {
            table.chains[0].rules[0].exprs = vec![Expr::Counter; 129];
        }),
        ("rule `anetcon float ipv4`", |table| {
            let prefix = "p".repeat(70_000);
            table.chains[0].rules[0].exprs = vec![Expr::Log { prefix, level: 4, flags: 0 }];
        }),
        ("elements of set `networks4`", |table| table.sets[0].elements[0].key = vec![0; 17]),
        ("elements of set `networks4`", |table| table.sets[0].elements[0].foreign = true),
    ];
    for (object, change) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let error = place
            .rules
            .apply(&Plan::Replace { wanted: bad, existing_flags: Some(0), drift: Vec::new() })
            .unwrap_err();
        assert!(matches!(error, Error::Unwritable { .. }), "{error:?}");
        assert!(error.to_string().starts_with(&format!("cannot write {object}")), "{error}");
        assert!(!error.retry());
        assert_eq!(place.rules.observe("anetcon").unwrap(), before);
    }
}

#[test]
fn removing_leaves_nothing_and_may_come_too_late() {
    let mut place = Place::with("nft-remove", &wanted(&["10.0.0.0/8", "fd00::/8"]));
    place.nft(&["add", "table", "inet", "other"]);
    for _ in 0..2 {
        place.rules.apply(&Plan::Remove { name: "anetcon".into() }).unwrap();
        assert_eq!(place.nft(&["list", "ruleset"]), "table inet other {\n}\n");
        assert_eq!(place.table(), None);
    }
}

#[test]
fn a_table_of_another_owner_is_not_taken() {
    let owner = Place::new("nft-owner");
    // nft keeps its owner flag only while it runs: the other owner is a second socket of ours.
    let mut other = owner.netns.run(anetcon_nft::RulesSocket::open).unwrap();
    let mut owned = wanted(&[]);
    owned.flags = anetcon_core::expr::kernel::TABLE_OWNER;
    let mut place = owner;
    place
        .rules
        .apply(&Plan::Replace { wanted: owned, existing_flags: Some(0), drift: Vec::new() })
        .unwrap();
    let plan = Plan::Replace { wanted: wanted(&[]), existing_flags: Some(2), drift: Vec::new() };
    match other.apply(&plan).unwrap_err() {
        Error::Refused { object, errno, .. } => {
            assert_eq!((&*object, errno), ("table `anetcon`", Errno::EPERM));
        }
        error => panic!("{error:?}"),
    }
    let error = other.apply(&Plan::Remove { name: "anetcon".into() }).unwrap_err();
    assert!(matches!(error, Error::Refused { errno: Errno::EPERM, .. }), "{error:?}");
    assert_eq!(place.table().unwrap().chains[0].rules.len(), 2);
}

#[test]
fn an_empty_plan_sends_nothing() {
    let wanted = wanted(&[]);
    let mut place = Place::with("nft-nothing", &wanted);
    let generation = place.rules.generation().unwrap();
    let plan = place.plan(&wanted);
    assert_eq!(plan, Plan::Nothing);
    place.rules.apply(&plan).unwrap();
    assert_eq!(place.rules.generation().unwrap(), generation);
}

#[test]
fn other_names_and_priorities_are_written_too() {
    let mut config = Config::default();
    config.rules.table = "watch".into();
    config.rules.chain = "new-connections".into();
    config.rules.priority = 50;
    let wanted = wanted_by(config, &[]);
    let mut place = Place::with("nft-names", &wanted);
    let listing = place.nft(&["list", "table", "inet", "watch"]);
    assert!(listing.contains("chain new-connections {"), "{listing}");
    assert!(listing.contains("hook postrouting priority security;"), "{listing}");
    assert_eq!(place.plan(&wanted), Plan::Nothing);
    assert_eq!(place.rules.tables().unwrap(), ["watch"]);
}

#[test]
fn lost_answers_are_no_success_and_the_socket_goes_on() {
    let wanted = wanted(&["10.0.0.0/8"]);
    let mut place = Place::with("nft-lost", &wanted);
    setsockopt(&place.rules, sockopt::RcvBuf, &1).unwrap();
    let mut many = wanted.clone();
    many.chains[0].rules = vec![wanted.chains[0].rules[0].clone(); 200];
    let plan = Plan::Replace { wanted: many, existing_flags: Some(0), drift: Vec::new() };
    let error = place.rules.apply(&plan).unwrap_err();
    assert!(matches!(error, Error::Overrun) && error.retry(), "{error:?}");
    // The batch itself had happened: only a look can tell.
    assert_eq!(place.table().unwrap().chains[0].rules.len(), 200);
    setsockopt(&place.rules, sockopt::RcvBufForce, &(1 << 20)).unwrap();
    place.write(&wanted).unwrap();
    assert_eq!(place.table(), Some(wanted));
}

#[test]
fn the_longest_comment_and_prefix_are_whole() {
    let mut wanted = wanted(&[]);
    let (comment, prefix) = ("c".repeat(127), "p".repeat(126));
    let rule = &mut wanted.chains[0].rules[0];
    rule.comment = Some(comment.clone());
    *rule.exprs.last_mut().unwrap() = Expr::Log { prefix: prefix.clone(), level: 4, flags: 0 };
    let mut place = Place::with("nft-longest", &wanted);
    let listing = place.listing();
    assert!(
        listing.contains(&format!("log prefix \"{prefix}\" comment \"{comment}\"\n")),
        "{listing}"
    );
    assert_eq!(place.table(), Some(wanted));
}
