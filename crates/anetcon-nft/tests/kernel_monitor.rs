//! Who changed our table: events of nft's changes, of our own, and of none that concern us.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::os::fd::AsFd;

use anetcon_core::observed::RuleCounter;
use anetcon_core::plan::Plan;
use anetcon_nft::{Changes, Monitor, PortId, RulesSocket};
use common::{Place, wanted};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

/// A namespace with our table in force and a monitor that has seen nothing yet.
fn watched(label: &str) -> (Place, Monitor) {
    let place = Place::with(label, &wanted(&[]));
    let monitor = place.netns.run(Monitor::open).unwrap();
    (place, monitor)
}

fn drain(monitor: &mut Monitor, place: &Place) -> Changes {
    monitor.drain("anetcon", place.rules.portid()).unwrap()
}

fn readable(monitor: &Monitor) -> bool {
    let mut fds = [PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
}

#[test]
fn nft_s_changes_of_our_table_have_an_author() {
    for command in [
        "flush chain inet anetcon anetcon",
        "delete table inet anetcon",
        "flush ruleset",
        "insert rule inet anetcon anetcon accept",
        "add set inet anetcon s { type ipv4_addr; }",
        "add counter inet anetcon c",
        "add table inet anetcon { flags dormant; }",
        "add chain inet anetcon anetcon { policy drop; }",
    ] {
        let (mut place, mut monitor) = watched("nft-author");
        place.nft_file(&format!("{command}\n"));
        assert!(readable(&monitor), "{command}");
        let changes = drain(&mut monitor, &place);
        assert!(changes.touched && !changes.lost, "{command}: {changes:?}");
        assert_eq!(changes.authors.len(), 1, "{command}: {changes:?}");
        assert_eq!(changes.authors[0].name, "nft");
        assert_ne!(changes.authors[0].tid, 0);
        assert_eq!(changes.authors[0].generation, place.rules.generation().unwrap());
        assert_eq!(drain(&mut monitor, &place), Changes::default());
    }
}

#[test]
fn own_changes_are_not_touches() {
    let (mut place, mut monitor) = watched("nft-own");
    place.write(&wanted(&["10.0.0.0/8", "fd00::/8"])).unwrap();
    place.rules.apply(&Plan::Remove { name: "anetcon".into() }).unwrap();
    assert!(readable(&monitor));
    let changes = drain(&mut monitor, &place);
    assert!(!changes.touched && !changes.lost && changes.authors.is_empty(), "{changes:?}");
}

#[test]
fn another_socket_of_our_process_is_somebody_else() {
    let (place, mut monitor) = watched("nft-other");
    let mut other = place.netns.run(RulesSocket::open).unwrap();
    assert_ne!(other.portid(), place.rules.portid());
    other.apply(&Plan::Remove { name: "anetcon".into() }).unwrap();
    let changes = drain(&mut monitor, &place);
    assert!(changes.touched);
    assert_eq!(changes.authors.len(), 1);
}

/// The last words of a rule: whoever removes it, and however.
#[test]
fn a_removed_rule_tells_what_it_counted() {
    type Removal = fn(&mut Place);
    let removals: [(&str, Removal); 4] = [
        ("delete table", |place| drop(place.nft(&["delete", "table", "inet", "anetcon"]))),
        ("flush chain", |place| drop(place.nft(&["flush", "chain", "inet", "anetcon", "anetcon"]))),
        ("flush ruleset", |place| drop(place.nft(&["flush", "ruleset"]))),
        ("our own replacement", |place| place.write(&wanted(&[])).unwrap()),
    ];
    for (removal, remove) in removals {
        let (mut place, mut monitor) = watched("nft-removed");
        place.nft_file(
            "add rule inet anetcon anetcon counter packets 7 bytes 420 comment \"anetcon nat\"\n",
        );
        assert_eq!(drain(&mut monitor, &place).removed, [], "nothing is removed yet");
        remove(&mut place);
        let removed = drain(&mut monitor, &place).removed;
        let ours = RuleCounter { comment: Some("anetcon nat".into()), packets: 7, bytes: 420 };
        assert!(removed.contains(&ours), "{removal}: {removed:?}");
        assert_eq!(removed.len(), 3, "{removal}: {removed:?}");
    }
}

#[test]
fn other_tables_do_not_touch_ours() {
    let (place, mut monitor) = watched("nft-others");
    for command in [
        "add table inet other { chain anetcon { accept; }; set s { type ipv4_addr; elements = { 1.2.3.4 }; }; }",
        "add table ip anetcon { chain anetcon { type nat hook postrouting priority 0; accept; }; }",
        "add table inet anetcon2 { counter c { }; }",
        "delete table ip anetcon",
    ] {
        place.nft_file(&format!("{command}\n"));
        assert!(readable(&monitor), "{command}");
        assert_eq!(drain(&mut monitor, &place), Changes::default(), "{command}");
    }
}

#[test]
fn several_transactions_have_several_authors() {
    let (place, mut monitor) = watched("nft-several");
    place.nft(&["add", "rule", "inet", "anetcon", "anetcon", "accept"]);
    place.nft(&["add", "table", "inet", "other"]);
    place.nft(&["delete", "table", "inet", "anetcon"]);
    let changes = drain(&mut monitor, &place);
    let generations: Vec<_> = changes.authors.iter().map(|author| author.generation).collect();
    assert_eq!(generations.len(), 2);
    assert_eq!(generations[1], generations[0] + 2);
}

#[test]
fn an_overrun_is_a_loss_and_not_the_end() {
    let (mut place, mut monitor) = watched("nft-overrun");
    setsockopt(&monitor, sockopt::RcvBuf, &1).unwrap();
    for number in 0..60 {
        let name = format!("t{number}");
        place.nft(&["add", "table", "inet", &name]);
    }
    let changes = drain(&mut monitor, &place);
    assert!(changes.lost && changes.touched, "{changes:?}");
    setsockopt(&monitor, sockopt::RcvBufForce, &(1 << 20)).unwrap();
    place.nft(&["delete", "table", "inet", "anetcon"]);
    let changes = drain(&mut monitor, &place);
    assert!(changes.touched && !changes.lost, "{changes:?}");
    assert_eq!(changes.authors.len(), 1);
    assert_eq!(place.table(), None);
}

#[test]
fn without_events_nothing_happened() {
    let (place, mut monitor) = watched("nft-quiet");
    assert!(!readable(&monitor));
    assert_eq!(monitor.drain("anetcon", PortId(1)).unwrap(), Changes::default());
    assert_eq!(monitor.cookie().unwrap(), place.rules.cookie().unwrap());
}
