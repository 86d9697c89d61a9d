//! What nft writes, read by us; and that a read is whole, of one moment, and of our table only.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anetcon_core::expr::Expr;
use anetcon_core::plan::Plan;
use anetcon_nft::{Error, RulesSocket};
use common::{Place, wanted};

#[test]
fn what_nft_writes_equals_what_we_want() {
    for networks in [
        &[][..],
        &["10.0.0.0/8", "192.168.1.0/24"],
        &["fd00::/8"],
        &["0.0.0.0/8", "10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"],
        &["0.0.0.0/0", "::/0"],
        &["10.0.0.0/8", "172.16.0.0/12", "240.0.0.0/4", "fd00::/8", "ff00::/8"],
    ] {
        let wanted = wanted(networks);
        let text = Place::with("nft-text", &wanted).listing();
        let mut place = Place::new("nft-text");
        place.nft_file(&text);
        assert_eq!(place.table().as_ref(), Some(&wanted), "{networks:?}");
        assert_eq!(place.plan(&wanted), Plan::Nothing);
    }
}

#[test]
fn an_empty_namespace_has_no_table() {
    let mut place = Place::new("nft-empty");
    let observed = place.rules.observe("anetcon").unwrap();
    assert_eq!((observed.table, observed.counters.len()), (None, 0));
    assert!(place.rules.tables().unwrap().is_empty());
}

#[test]
fn tables_of_other_families_and_names_are_not_ours() {
    let mut place = Place::new("nft-foreign");
    place.nft_file(
        "table ip anetcon { chain anetcon { type nat hook postrouting priority 0; accept; }; }\n\
         table inet anetcon2 { set networks4 { type ipv4_addr; }; chain anetcon { counter; }; }\n",
    );
    assert_eq!(place.table(), None);
    assert_eq!(place.rules.tables().unwrap(), ["anetcon2"]);
    let wanted = wanted(&["10.0.0.0/8"]);
    place.write(&wanted).unwrap();
    assert_eq!(place.table(), Some(wanted));
}

#[test]
fn thousands_of_foreign_rules_do_not_get_in() {
    let wanted = wanted(&["10.0.0.0/8"]);
    let mut place = Place::with("nft-many", &wanted);
    let rules =
        "add rule inet other c ip saddr 192.0.2.1 tcp dport 22 counter accept\n".repeat(3000);
    place.nft_file(&format!("add table inet other\nadd chain inet other c\n{rules}"));
    assert_eq!(place.table(), Some(wanted));
}

#[test]
fn generations_change_with_every_transaction_only() {
    let mut place = Place::new("nft-generation");
    let first = place.rules.generation().unwrap();
    assert_eq!(place.rules.generation().unwrap(), first);
    place.nft(&["add", "table", "inet", "other"]);
    assert_ne!(place.rules.generation().unwrap(), first);
    let generation = place.rules.generation().unwrap();
    assert_eq!(place.rules.observe("anetcon").unwrap().generation, generation);
}

#[test]
fn counters_are_read_with_their_rules() {
    let mut place = Place::with("nft-counters", &wanted(&[]));
    place.netns.bring_lo_up();
    place.netns.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for _ in 0..3 {
            TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        }
    });
    let observed = place.rules.observe("anetcon").unwrap();
    let counted: Vec<_> = observed
        .counters
        .iter()
        .map(|counter| (counter.comment.as_deref().unwrap(), counter.packets))
        .collect();
    assert_eq!(counted, [("anetcon float", 0), ("anetcon nat", 3)]);
    assert_eq!(observed.counters[1].bytes, 3 * 60);
}

#[test]
fn a_table_that_is_replaced_all_the_time_is_never_read_in_part() {
    let wanted = wanted(&["10.0.0.0/8", "fd00::/8"]);
    let mut place = Place::with("nft-torn", &wanted);
    let mut writer = place.netns.run(RulesSocket::open).unwrap();
    let plan = Plan::Replace { wanted: wanted.clone(), existing_flags: Some(0), drift: Vec::new() };
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                writer.apply(&plan).unwrap();
            }
        });
        let read = (0..300).map(|_| place.rules.observe("anetcon")).collect::<Vec<_>>();
        stop.store(true, Ordering::Relaxed);
        for outcome in read {
            match outcome {
                Ok(observed) => assert_eq!(observed.table.as_ref(), Some(&wanted)),
                Err(error) => assert!(matches!(error, Error::Interrupted { .. }), "{error:?}"),
            }
        }
    });
}

/// What we never write must differ after reading, so that it is repaired.
#[test]
fn words_that_we_never_write_are_kept_apart() {
    for rule in [
        "ct original packets 1",
        "log prefix \"x\" group 3",
        "log prefix \"x\" snaplen 10 group 3",
        "meta mark set meta mark << 1",
        "tcp dport vmap { 22 : accept }",
        "limit rate 3/second",
        "tcp dport 22 accept",
        "ct mark set 7",
        "counter name \"c\"",
        "quota 10 mbytes",
    ] {
        let mut place = Place::new("nft-words");
        place.nft_file(&format!(
            "table inet anetcon {{ counter c {{ }}; chain anetcon {{ type filter hook forward priority 0; {rule}; }}; }}"
        ));
        let table = place.table().unwrap();
        let exprs = &table.chains[0].rules[0].exprs;
        assert!(exprs.iter().any(|expr| matches!(expr, Expr::Other { .. })), "{rule}: {exprs:?}");
    }
}

#[test]
fn sets_with_more_than_we_write_are_foreign() {
    for set in [
        "type ipv4_addr; flags interval, timeout; elements = { 10.0.0.0/8 timeout 1h }",
        "type ipv4_addr; flags interval; timeout 1h; elements = { 10.0.0.0/8 }",
        "type ipv4_addr; flags interval; size 100; elements = { 10.0.0.0/8 }",
        "type ipv4_addr; flags interval; counter; elements = { 10.0.0.0/8 }",
        "type ipv4_addr; flags dynamic; elements = { 10.0.0.1 }",
        "type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 1-9 }",
    ] {
        let mut place = Place::new("nft-sets");
        place.nft_file(&format!("table inet anetcon {{ set networks4 {{ {set}; }}; }}"));
        let table = place.table().unwrap();
        let ours = wanted(&["10.0.0.0/8"]).sets;
        assert_ne!(table.sets, ours, "{set}");
    }
}
