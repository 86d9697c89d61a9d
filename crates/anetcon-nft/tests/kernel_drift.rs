//! Every way in which others can disturb our table: seen by a read, put back by one batch, and then quiet.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use anetcon_core::plan::Plan;
use anetcon_core::table::Table;
use common::{Place, wanted};

const NETWORKS: [&str; 2] = ["10.0.0.0/8", "fd00::/8"];
const NAT: &str = "anetcon nat ipv4";
const FLOAT: &str = "anetcon float ipv4";

/// Lets `disturb` change what is in force, and expects it to be seen and put right.
#[track_caller]
fn check(disturb: impl FnOnce(&Place)) {
    let wanted = wanted(&NETWORKS);
    let mut place = Place::with("nft-drift", &wanted);
    place.nft_file("table inet other { chain c { counter; }; }\n");
    let before = place.listing();
    assert_eq!(place.plan(&wanted), Plan::Nothing);
    disturb(&place);
    repair(&mut place, &wanted);
    assert_eq!(place.listing(), before);
}

#[track_caller]
fn repair(place: &mut Place, wanted: &Table) {
    let plan = place.plan(wanted);
    assert!(!plan.drift().is_empty(), "the change was not seen: {plan:?}");
    place.rules.apply(&plan).unwrap();
    assert_eq!(place.plan(wanted), Plan::Nothing);
}

#[test]
fn table_deleted() {
    check(|place| drop(place.nft(&["delete", "table", "inet", "anetcon"])));
}

#[test]
fn ruleset_flushed() {
    check(|place| drop(place.nft(&["flush", "ruleset"])));
}

#[test]
fn chain_flushed() {
    check(|place| drop(place.nft(&["flush", "chain", "inet", "anetcon", "anetcon"])));
}

#[test]
fn chain_deleted() {
    check(|place| {
        place.nft_file("flush chain inet anetcon anetcon\ndelete chain inet anetcon anetcon\n");
    });
}

#[test]
fn rule_deleted() {
    for comment in [FLOAT, NAT] {
        check(|place| {
            let handle = place.handle(comment);
            place.nft(&["delete", "rule", "inet", "anetcon", "anetcon", "handle", &handle]);
        });
    }
}

#[test]
fn rule_changed_keeping_its_comment() {
    for (from, to) in [
        ("meta l4proto tcp", "meta l4proto udp"),
        ("ct status ! dnat", "ct status dnat"),
        ("ct state new", "ct state established"),
        ("ip saddr", "ip daddr"),
        ("@networks4", "!= @networks4"),
        ("[X]", "[Y]"),
        ("\" comment", "\" level debug comment"),
        ("\" comment", "\" flags skuid comment"),
        ("\" comment", "\" accept comment"),
        ("\" comment", "\" group 1 comment"),
        ("counter packets 0 bytes 0 ", ""),
        ("counter packets 0 bytes 0", "limit rate 1/hour"),
        ("ct state new", "ct state new ct original packets 7"),
    ] {
        check(|place| {
            let text = place.rule_text(NAT).replace(from, to);
            let command =
                format!("replace rule inet anetcon anetcon handle {} {text}\n", place.handle(NAT));
            assert!(text.contains(to), "{text}");
            place.nft_file(&command);
        });
    }
}

#[test]
fn comment_changed() {
    check(|place| {
        let text = place.rule_text(NAT).replace(NAT, "anetcon was here");
        let handle = place.handle(NAT);
        place.nft_file(&format!("replace rule inet anetcon anetcon handle {handle} {text}\n"));
    });
}

#[test]
fn rule_inserted_before_ours() {
    for rule in ["accept", "counter", "ip saddr 10.0.0.1 drop"] {
        check(|place| place.nft_file(&format!("insert rule inet anetcon anetcon {rule}\n")));
    }
}

#[test]
fn rule_added_behind_ours() {
    check(|place| place.nft_file("add rule inet anetcon anetcon accept\n"));
}

#[test]
fn rules_reordered() {
    check(|place| {
        let (text, handle) = (place.rule_text(FLOAT), place.handle(FLOAT));
        place.nft_file(&format!(
            "delete rule inet anetcon anetcon handle {handle}\nadd rule inet anetcon anetcon {text}\n"
        ));
    });
}

#[test]
fn rule_doubled() {
    check(|place| {
        place.nft_file(&format!("add rule inet anetcon anetcon {}\n", place.rule_text(NAT)));
    });
}

#[test]
fn table_made_dormant() {
    check(|place| place.nft_file("add table inet anetcon { flags dormant; }\n"));
}

#[test]
fn chain_made_again_otherwise() {
    for (from, to) in [
        ("hook postrouting", "hook prerouting"),
        ("hook postrouting", "hook output"),
        ("priority mangle", "priority 90"),
        ("policy accept", "policy drop"),
        ("type nat", "type filter"),
    ] {
        check(|place| {
            let listing = place.listing().replace(from, to);
            assert!(listing.contains(to), "{listing}");
            place.nft_file(&format!("delete table inet anetcon\n{listing}"));
        });
    }
}

#[test]
fn policy_changed_in_place() {
    check(|place| place.nft_file("add chain inet anetcon anetcon { policy drop; }\n"));
}

#[test]
fn chain_renamed() {
    check(|place| drop(place.nft(&["rename", "chain", "inet", "anetcon", "anetcon", "away"])));
}

#[test]
fn chain_added() {
    check(|place| {
        place.nft_file(
            "add chain inet anetcon before { type nat hook postrouting priority -199; accept; }\n",
        );
    });
}

#[test]
fn set_elements_changed() {
    for command in [
        "flush set inet anetcon networks4",
        "add element inet anetcon networks4 { 192.168.0.0/16 }",
        "delete element inet anetcon networks4 { 10.0.0.0/8 }",
        "delete element inet anetcon networks4 { 10.0.0.0/8 }; add element inet anetcon networks4 { 10.0.0.0/9 }",
        "flush set inet anetcon networks6",
        "add element inet anetcon networks6 { ::/1 }",
    ] {
        check(|place| place.nft_file(&format!("{command}\n")));
    }
}

#[test]
fn set_added() {
    check(|place| place.nft_file("add set inet anetcon more { type ipv4_addr; }\n"));
}

#[test]
fn another_family_of_networks() {
    let (both, v4, v6) = (wanted(&NETWORKS), wanted(&["10.0.0.0/8"]), wanted(&["fd00::/8"]));
    let mut place = Place::with("nft-drift", &both);
    for next in [&v4, &v6, &wanted(&[]), &both] {
        repair(&mut place, next);
    }
}

/// Whoever deletes the table between our look and our batch must not stop the repair.
#[test]
fn table_gone_or_back_between_look_and_batch() {
    let wanted = wanted(&NETWORKS);
    let mut place = Place::with("nft-drift", &wanted);
    place.nft_file("add table inet anetcon { flags dormant; }\n");
    let plan = place.plan(&wanted);
    place.nft(&["delete", "table", "inet", "anetcon"]);
    place.rules.apply(&plan).unwrap();
    assert_eq!(place.plan(&wanted), Plan::Nothing);
    place.nft(&["delete", "table", "inet", "anetcon"]);
    let plan = place.plan(&wanted);
    place.nft(&["add", "table", "inet", "anetcon"]);
    place.rules.apply(&plan).unwrap();
    assert_eq!(place.plan(&wanted), Plan::Nothing);
}

/// The chain must stay the one that it is: while another takes its place a packet can meet both.
#[test]
fn a_chain_that_is_right_stays_where_it_is() {
    let handle = |place: &Place| {
        let objects = place.json();
        let chain = objects.iter().find(|object| object["chain"].is_object()).unwrap();
        chain["chain"]["handle"].clone()
    };
    let mut place = Place::with("nft-drift", &wanted(&NETWORKS));
    let before = handle(&place);
    for next in [wanted(&[]), wanted(&["10.0.0.0/8"]), wanted(&NETWORKS)] {
        repair(&mut place, &next);
        assert_eq!(handle(&place), before);
    }
    place.nft(&["insert", "rule", "inet", "anetcon", "anetcon", "accept"]);
    repair(&mut place, &wanted(&NETWORKS));
    assert_eq!(handle(&place), before);
}

#[test]
fn a_refill_that_comes_too_late_changes_nothing_and_says_so() {
    let wanted = wanted(&NETWORKS);
    let mut place = Place::with("nft-drift", &wanted);
    place.nft(&["flush", "chain", "inet", "anetcon", "anetcon"]);
    let plan = place.plan(&wanted);
    assert!(matches!(plan, Plan::Refill { .. }), "{plan:?}");
    place.nft(&["delete", "table", "inet", "anetcon"]);
    let error = place.rules.apply(&plan).unwrap_err().to_string();
    assert!(error.contains("the rules of chain `anetcon`"), "{error}");
    assert_eq!(place.table(), None);
}
