//! Sockets that outlive the agent: handed over as file descriptors, they go on where they were.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};

use anetcon_core::expr::kernel;
use anetcon_core::plan::Plan;
use anetcon_nft::{Error, Monitor, RulesSocket};
use anetcon_testkit::netns::Netns;
use common::{Place, wanted};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

fn duplicate(socket: &impl AsFd) -> OwnedFd {
    socket.as_fd().try_clone_to_owned().unwrap()
}

#[test]
fn an_adopted_socket_is_in_its_namespace_and_keeps_its_port() {
    let place = Place::new("nft-adopt");
    let mut adopted = RulesSocket::adopt(duplicate(&place.rules)).unwrap();
    assert_eq!(adopted.cookie().unwrap(), place.rules.cookie().unwrap());
    assert_eq!(adopted.portid(), place.rules.portid());
    assert_ne!(adopted.cookie().unwrap(), RulesSocket::open().unwrap().cookie().unwrap());
    let plan = Plan::Replace { wanted: wanted(&[]), existing_flags: None, drift: Vec::new() };
    adopted.apply(&plan).unwrap();
    assert!(place.listing().contains("anetcon float"));
}

#[test]
fn an_adopted_socket_still_owns_its_table() {
    let Place { netns, mut rules } = Place::new("nft-adopt");
    let mut owned = wanted(&[]);
    owned.flags = kernel::TABLE_OWNER;
    let replace =
        |existing_flags| Plan::Replace { wanted: owned.clone(), existing_flags, drift: Vec::new() };
    rules.apply(&replace(Some(0))).unwrap();
    let fd = duplicate(&rules);
    drop(rules);
    let flush =
        || netns.command("nft").args(["delete", "table", "inet", "anetcon"]).output().unwrap();
    assert!(!flush().status.success());
    let mut adopted = RulesSocket::adopt(fd).unwrap();
    assert_eq!(adopted.observe("anetcon").unwrap().table.unwrap().flags, kernel::TABLE_OWNER);
    adopted.apply(&replace(Some(kernel::TABLE_OWNER))).unwrap();
    assert!(!flush().status.success());
}

#[test]
fn answers_that_wait_in_an_adopted_socket_do_not_disturb() {
    let place = Place::with("nft-adopt", &wanted(&[]));
    let mut first = RulesSocket::adopt(duplicate(&place.rules)).unwrap();
    // A dump that nobody read to its end.
    let request = [
        &20u32.to_ne_bytes()[..],  // length
        &[0x01, 0x0a, 0x01, 0x03], // NFT_MSG_GETTABLE, REQUEST | DUMP
        &1u32.to_ne_bytes(),
        &0u32.to_ne_bytes(),
        &[0, 0, 0, 0],
    ]
    .concat();
    nix::unistd::write(&place.rules, &request).unwrap();
    let observed = first.observe("anetcon").unwrap();
    assert_eq!(observed.table, Some(wanted(&[])));
}

#[test]
fn a_refusal_that_waits_in_an_adopted_socket_is_not_the_batch_s() {
    let place = Place::new("nft-adopt");
    let request = [
        &28u32.to_ne_bytes()[..],  // length
        &[0x01, 0x0a, 0x05, 0x00], // NFT_MSG_GETTABLE, REQUEST | ACK
        &1u32.to_ne_bytes(),       // the number of a batch's first message
        &0u32.to_ne_bytes(),
        &[1, 0, 0, 0],
        &[8, 0, 1, 0, b'n', b'o', b'n', 0], // NFTA_TABLE_NAME: there is none
    ]
    .concat();
    nix::unistd::write(&place.rules, &request).unwrap();
    let mut adopted = RulesSocket::adopt(duplicate(&place.rules)).unwrap();
    let plan = Plan::Replace { wanted: wanted(&[]), existing_flags: None, drift: Vec::new() };
    adopted.apply(&plan).unwrap();
}

#[test]
fn events_wait_for_an_adopted_monitor() {
    let place = Place::with("nft-adopt", &wanted(&[]));
    let fd = duplicate(&place.netns.run(Monitor::open).unwrap());
    place.nft(&["flush", "ruleset"]);
    let mut monitor = Monitor::adopt(fd).unwrap();
    let changes = monitor.drain("anetcon", place.rules.portid()).unwrap();
    assert!(changes.touched && !changes.lost);
    assert_eq!(changes.authors[0].name, "nft");
}

#[test]
fn what_is_no_netfilter_socket_is_refused() {
    let netlink = |protocol| {
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), protocol).unwrap()
    };
    let refused = [
        OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap()),
        OwnedFd::from(std::fs::File::open("/dev/null").unwrap()),
        netlink(SockProtocol::NetlinkRoute),
    ];
    for fd in refused {
        let error = RulesSocket::adopt(fd).unwrap_err();
        assert!(matches!(error, Error::Adopted { .. }), "{error:?}");
    }
    let without_events = netlink(SockProtocol::NetlinkNetFilter);
    let error = Monitor::adopt(without_events).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the adopted file descriptor is a netfilter socket without the ruleset events, not one joined to them"
    );
}

#[test]
fn sockets_can_move_between_threads() {
    fn send<T: Send + 'static>(value: T) -> T {
        value
    }
    let netns = Netns::new("nft-adopt");
    let mut rules = send(netns.run(RulesSocket::open).unwrap());
    send(netns.run(Monitor::open).unwrap());
    let observed = std::thread::spawn(move || rules.observe("anetcon")).join().unwrap().unwrap();
    assert_eq!(observed.table, None);
}
