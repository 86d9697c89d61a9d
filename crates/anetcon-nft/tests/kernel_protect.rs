//! Tables with an owner: what others can do to them, and what becomes of them without it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anetcon_core::expr::kernel::{TABLE_OWNER, TABLE_PERSIST};
use anetcon_core::plan::Plan;
use anetcon_core::table::Table;
use anetcon_nft::RulesSocket;
use anetcon_testkit::loopback::Loopback;
use anetcon_testkit::netns::wait_until;
use common::{Place, wanted};

/// A program that another test starts just now has all our sockets until its own image is loaded.
const CLOSED: Duration = Duration::from_secs(10);

fn protected(flags: u32) -> Table {
    Table { flags, ..wanted(&["10.0.0.0/8"]) }
}

/// What the counters of our table say, by nft.
fn counted(place: &Place) -> u64 {
    let listing = place.listing();
    let packets = listing.split("packets ").skip(1);
    packets.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn the_kernel_is_asked_without_a_trace() {
    let mut place = Place::new("nft-probe");
    let before = place.rules.generation().unwrap();
    for (flags, known) in
        [(TABLE_OWNER, true), (TABLE_OWNER | TABLE_PERSIST, true), (1 << 20, false)]
    {
        assert_eq!(place.rules.knows_flags(flags).unwrap(), known, "{flags}");
    }
    assert_eq!(place.rules.generation().unwrap(), before);
    assert_eq!(place.nft(&["list", "ruleset"]), "");
}

#[test]
fn an_owned_table_is_left_alone_by_a_flush_and_refused_to_others() {
    for flags in [TABLE_OWNER, TABLE_OWNER | TABLE_PERSIST] {
        let mut place = Place::with("nft-owned", &protected(flags));
        let listing = place.listing();
        place.nft(&["flush", "ruleset"]);
        for refused in [
            "delete table inet anetcon",
            "flush table inet anetcon",
            "flush chain inet anetcon anetcon",
        ] {
            let output = place.netns.command("nft").arg(refused).output().unwrap();
            assert!(!output.status.success(), "{refused}");
            assert!(String::from_utf8_lossy(&output.stderr).contains("Operation not permitted"));
        }
        assert_eq!(place.listing(), listing);
        assert_eq!(place.plan(&protected(flags)), Plan::Nothing);
    }
}

#[test]
fn our_own_table_is_told_from_that_of_another_owner() {
    let mut place = Place::with("nft-foreign", &protected(TABLE_OWNER));
    assert_eq!(place.table(), Some(protected(TABLE_OWNER)));
    let mut other = place.netns.run(RulesSocket::open).unwrap();
    let seen = other.observe("anetcon").unwrap().table.unwrap();
    assert_eq!(seen.foreign_owner, Some(place.rules.portid().0));
    assert_ne!(seen, protected(TABLE_OWNER));
}

#[test]
fn every_protection_can_take_the_place_of_every_other() {
    let all = [0, TABLE_OWNER, TABLE_OWNER | TABLE_PERSIST];
    for from in all {
        for to in all {
            let mut place = Place::with("nft-convert", &protected(from));
            let plan = place.plan(&protected(to));
            place.rules.apply(&plan).unwrap();
            assert_eq!(place.plan(&protected(to)), Plan::Nothing, "from {from} to {to}");
        }
    }
}

#[test]
fn a_table_that_persists_outlives_its_owner_and_is_claimed_with_its_counters() {
    let flags = TABLE_OWNER | TABLE_PERSIST;
    let everything = Table { flags, ..wanted(&[]) };
    let mut place = Place::with("nft-orphan", &everything);
    let loopback = Loopback::of(&place.netns);
    loopback.connect();
    let before = counted(&place);
    assert!(before > 0, "{}", place.listing());
    place.rules = place.netns.run(RulesSocket::open).unwrap();
    wait_until("it has no owner any more", CLOSED, || {
        place.table().unwrap().flags == TABLE_PERSIST
    });
    let plan = place.plan(&everything);
    assert!(matches!(plan, Plan::Claim { .. }), "{plan:?}");
    place.rules.apply(&plan).unwrap();
    assert_eq!(place.plan(&everything), Plan::Nothing);
    assert_eq!(counted(&place), before);
    assert!(
        !place
            .netns
            .command("nft")
            .args(["delete", "table", "inet", "anetcon"])
            .output()
            .unwrap()
            .status
            .success()
    );
}

#[test]
fn a_socket_that_is_kept_open_keeps_the_table() {
    let mut place = Place::with("nft-kept", &protected(TABLE_OWNER));
    let kept: OwnedFd = place.rules.as_fd().try_clone_to_owned().unwrap();
    place.rules = place.netns.run(RulesSocket::open).unwrap();
    assert!(place.table().is_some_and(|table| table.foreign_owner.is_some()));
    place.rules = RulesSocket::adopt(kept).unwrap();
    assert_eq!(place.plan(&protected(TABLE_OWNER)), Plan::Nothing);
    place.rules = place.netns.run(RulesSocket::open).unwrap();
    // It goes without another generation: a dump may meet a half of it.
    wait_until("it went with the last one who had it open", CLOSED, || {
        place.rules.observe("anetcon").is_ok_and(|observed| observed.table.is_none())
    });
}
