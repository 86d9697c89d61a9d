//! The socket's life: what the filter lets through, dumps, overruns, ends, and sockets that were handed over.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

mod common;

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use anetcon_conntrack::{Conntrack, Drained, Dumped, Error, Event, Filter};
use anetcon_core::session::EventKind;
use anetcon_testkit::beside::Beside;
use anetcon_testkit::netns::{Netns, wait_until};
use anetcon_testkit::topology::Family;
use anetcon_testkit::traffic::Connection;
use common::{
    BUFFER, ICMP, ICMPV6, PATIENCE, TCP, UDP, assert_kind, dump, event_of, events, filter, lines,
    listed, open, router, run, set, tells_of, told,
};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, getsockname, sendto,
    socket,
};

fn nanoseconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

/// Each of them once.
fn assert_told(events: &[Event], connections: &[Connection]) {
    for connection in connections {
        event_of(events, connection);
    }
}

fn nothing_waits(conntrack: &mut Conntrack) {
    let drained = conntrack.drain(10, &mut |event| panic!("{event:#?}")).unwrap();
    assert_eq!(drained, Drained::default());
}

#[test]
fn the_kernel_keeps_other_protocols_back() {
    let router = router("ct-filter");
    let mut only_tcp = open(&router.netns, &filter(&[TCP]));
    let mut only_icmp = open(&router.netns, &filter(&[ICMP, ICMPV6]));
    let mut everything = open(&router.netns, &filter(&[TCP, UDP, ICMP, ICMPV6]));
    for family in Family::ALL {
        let out = router.outgoing(family);
        out.exchange_datagrams();
        out.echo();
        let connection = out.connect();
        // What was sent first was queued first: had the others come, they would be here.
        let found = events(&mut only_tcp, 1);
        assert!(tells_of(&found[0], &connection), "{found:#?}");
        let found = events(&mut only_icmp, 1);
        assert!(found[0].flow.original.icmp.is_some(), "{found:#?}");
        let protocols: Vec<u8> =
            events(&mut everything, 3).iter().map(|event| event.flow.original.protocol).collect();
        let icmp = if family == Family::V4 { ICMP } else { ICMPV6 };
        assert_eq!(protocols, [UDP, icmp, TCP]);
    }
}

/// Zones move the attribute that the filter looks for.
#[test]
fn the_filter_and_the_events_know_zones() {
    let router = router("ct-zone");
    run(
        &router.netns,
        "nft",
        &["add table inet z; add chain inet z c { type filter hook prerouting priority -300; }; \
           add rule inet z c iifname qr-inside ct zone set 7; \
           add rule inet z c iifname qg-outside ct zone set 7"],
    );
    let mut conntrack = open(&router.netns, &filter(&[TCP]));
    for family in Family::ALL {
        router.outgoing(family).exchange_datagrams();
        let connection = router.outgoing(family).connect();
        let found = events(&mut conntrack, 1);
        assert_eq!(event_of(&found, &connection).flow.zone, 7);
    }
}

#[test]
fn a_zone_of_one_direction_is_a_zone_too() {
    let router = router("ct-zone");
    run(
        &router.netns,
        "nft",
        &["add table inet z; add chain inet z c { type filter hook prerouting priority -300; }; \
           add rule inet z c iifname qr-inside ct original zone set 9"],
    );
    let mut conntrack = open(&router.netns, &filter(&[TCP]));
    let connection = router.outgoing(Family::V4).connect();
    let found = events(&mut conntrack, 1);
    assert_eq!(event_of(&found, &connection).flow.zone, 9);
}

#[test]
fn another_filter_can_be_put_in_force() {
    let router = router("ct-refilter");
    let mut conntrack = open(&router.netns, &filter(&[TCP]));
    conntrack.refilter(&Filter { protocols: vec![UDP], end: true }).unwrap();
    let out = router.outgoing(Family::V4);
    out.connect();
    let connection = out.exchange_datagrams();
    assert!(tells_of(&events(&mut conntrack, 1)[0], &connection));
    run(&router.netns, "conntrack", &["-D", "-p", "udp"]);
    assert_kind(&events(&mut conntrack, 1), EventKind::Destroy);
    conntrack.refilter(&filter(&[TCP])).unwrap();
    out.exchange_datagrams();
    run(&router.netns, "conntrack", &["-D", "-p", "tcp"]);
    let connection = out.connect();
    assert!(tells_of(&events(&mut conntrack, 1)[0], &connection));
}

#[test]
fn the_kernel_s_time_is_the_event_s() {
    let router = router("ct-time");
    set(&router.netns, "nf_conntrack_timestamp", "1");
    let mut conntrack = open(&router.netns, &filter(&[TCP]));
    let before = nanoseconds();
    router.outgoing(Family::V4).connect();
    let after = nanoseconds();
    let time = events(&mut conntrack, 1)[0].time.unwrap();
    assert!((before..=after).contains(&time), "{before} {time} {after}");
}

#[test]
fn without_the_kernel_s_time_there_is_none() {
    let router = router("ct-time");
    set(&router.netns, "nf_conntrack_timestamp", "0");
    let mut conntrack = open(&router.netns, &filter(&[TCP]));
    router.outgoing(Family::V4).connect();
    assert_eq!(events(&mut conntrack, 1)[0].time, None);
}

#[test]
fn a_dump_finds_what_is_open() {
    let router = router("ct-dump");
    set(&router.netns, "nf_conntrack_acct", "1");
    let mut connections = Vec::new();
    for family in Family::ALL {
        connections.extend(router.outgoing(family).connect_many(3));
        connections.extend(router.to_floating(family).connect_many(3));
        connections.push(router.outgoing(family).exchange_datagrams());
    }
    // Made after the connections: no event tells of them.
    let mut conntrack = open(&router.netns, &filter(&[TCP]));
    nothing_waits(&mut conntrack);
    let mut found = dump(&mut conntrack);
    found.retain(|event| [TCP, UDP].contains(&event.flow.original.protocol));
    assert_kind(&found, EventKind::Seen);
    assert_eq!(found.len(), connections.len());
    for connection in &connections {
        assert_eq!(event_of(&found, connection).time, None);
    }
    assert_eq!(lines(&found), listed(&router.netns, &[TCP, UDP]));
    nothing_waits(&mut conntrack);
}

/// More than one part, and an event that waits behind the first.
#[test]
fn a_dump_of_many_parts_is_whole_and_loses_no_event() {
    let router = router("ct-parts");
    let mut conntrack = open(&router.netns, &filter(&[TCP]));
    let count = 300;
    let connections = router.outgoing(Family::V4).connect_many(count);
    let (mut found, mut dumped) = (Vec::new(), Dumped::default());
    conntrack.dump(&mut |event| found.push(event), &mut dumped).unwrap();
    assert!(!dumped.lost && dumped.malformed == 0);
    let (new, seen): (Vec<Event>, Vec<Event>) =
        found.into_iter().partition(|event| event.kind == EventKind::New);
    for connection in &connections {
        assert_eq!(event_of(&new, connection).flow.id, event_of(&seen, connection).flow.id);
    }
    assert_eq!([new.len(), seen.len()], [count, count]);
}

#[test]
fn an_empty_table_is_an_empty_dump() {
    let netns = Netns::new("ct-empty");
    let mut conntrack = open(&netns, &filter(&[TCP]));
    assert_eq!(dump(&mut conntrack), []);
}

#[test]
fn a_limit_is_kept_and_told() {
    let router = router("ct-limit");
    let mut conntrack = open(&router.netns, &filter(&[TCP]));
    let connections = router.outgoing(Family::V4).connect_many(5);
    let mut found = Vec::new();
    for more in [true, true, false] {
        let before = found.len();
        let drained = conntrack.drain(2, &mut |event| found.push(event)).unwrap();
        assert_eq!(drained, Drained { more, ..Drained::default() });
        assert_eq!(found.len() - before, if more { 2 } else { 1 });
    }
    assert_told(&found, &connections);
}

#[test]
fn an_overrun_is_told_and_a_dump_recovers_what_lives() {
    let router = router("ct-overrun");
    let mut conntrack = router.netns.run(|| Conntrack::open(&filter(&[TCP]), 2048)).unwrap();
    let connections = router.outgoing(Family::V4).connect_many(50);
    let mut told = Vec::new();
    let drained = conntrack.drain(1000, &mut |event| told.push(event)).unwrap();
    assert_eq!(drained, Drained { more: false, lost: true, malformed: 0 });
    assert!(told.len() < connections.len(), "nothing was lost");
    let mut seen = dump(&mut conntrack);
    assert_kind(&seen, EventKind::Seen);
    seen.retain(|event| event.flow.original.protocol == TCP);
    assert_eq!(seen.len(), connections.len());
    assert_told(&seen, &connections);
    // From here on events come again.
    let next = router.outgoing(Family::V4).connect();
    assert!(tells_of(&events(&mut conntrack, 1)[0], &next));
}

/// The kernel queues nothing after an overrun until everything was read: a dump must see to that itself.
#[test]
fn a_dump_right_after_an_overrun_is_enough() {
    let router = router("ct-overrun");
    let mut conntrack = router.netns.run(|| Conntrack::open(&filter(&[TCP]), 2048)).unwrap();
    let connections = router.outgoing(Family::V4).connect_many(50);
    let (mut found, mut dumped) = (Vec::new(), Dumped::default());
    conntrack.dump(&mut |event| found.push(event), &mut dumped).unwrap();
    assert!(dumped.lost);
    for connection in &connections {
        let seen = |event: &&Event| event.kind == EventKind::Seen && tells_of(event, connection);
        assert_eq!(found.iter().filter(seen).count(), 1, "{connection:?}");
    }
    let next = router.outgoing(Family::V4).connect();
    assert!(tells_of(&events(&mut conntrack, 1)[0], &next));
}

/// New connections, made while a dump is being read, fill the tiny buffer.
#[test]
fn a_dump_during_which_events_are_lost_is_begun_again() {
    let router = router("ct-again");
    let mut conntrack = router.netns.run(|| Conntrack::open(&filter(&[TCP]), 2048)).unwrap();
    let out = router.outgoing(Family::V4);
    let mut connections = out.connect_many(300);
    while conntrack.drain(1000, &mut |_| ()).unwrap().lost {}
    let (mut found, mut late, mut dumped) = (Vec::new(), Vec::new(), Dumped::default());
    let mut take = |event| {
        if late.is_empty() {
            late = out.connect_many(50);
        }
        found.push(event);
    };
    conntrack.dump(&mut take, &mut dumped).unwrap();
    assert!(dumped.lost);
    connections.append(&mut late);
    for connection in &connections {
        let seen = |event: &Event| event.kind == EventKind::Seen && tells_of(event, connection);
        assert!(found.iter().any(seen), "{connection:?}");
    }
}

#[test]
fn a_dump_that_is_always_interrupted_ends() {
    let router = router("ct-ends");
    let mut conntrack = router.netns.run(|| Conntrack::open(&filter(&[TCP]), 2048)).unwrap();
    let out = router.outgoing(Family::V4);
    let first = out.connect();
    let mut take = |event: Event| {
        if event.kind == EventKind::Seen && tells_of(&event, &first) {
            out.connect_many(20);
        }
    };
    let mut dumped = Dumped::default();
    let error = conntrack.dump(&mut take, &mut dumped).unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }) && error.retry(), "{error:?}");
    assert!(dumped.lost, "also of a dump that failed");
}

#[test]
fn the_end_is_told_with_what_passed_and_when() {
    let router = router("ct-end");
    set(&router.netns, "nf_conntrack_acct", "1");
    set(&router.netns, "nf_conntrack_timestamp", "1");
    let mut conntrack = open(&router.netns, &Filter { protocols: vec![TCP], end: true });
    let beside = Beside::start(&router.netns, "DESTROY");
    let before = nanoseconds();
    let mut connections = Vec::new();
    for family in Family::ALL {
        connections.push(router.outgoing(family).connect());
        connections.push(router.to_floating(family).connect());
        router.outgoing(family).exchange_datagrams();
    }
    let between = nanoseconds();
    let begun = events(&mut conntrack, connections.len());
    assert_kind(&begun, EventKind::New);
    for family in ["ipv4", "ipv6"] {
        run(&router.netns, "conntrack", &["-D", "-f", family]);
    }
    let ended = events(&mut conntrack, connections.len());
    let after = nanoseconds();
    assert_kind(&ended, EventKind::Destroy);
    assert_eq!(lines(&ended), told(&beside, &[TCP], connections.len()));
    for connection in &connections {
        let (begin, end) = (event_of(&begun, connection), event_of(&ended, connection));
        assert_eq!(begin.flow.id, end.flow.id);
        let counters = end.flow.counters.unwrap();
        // Five rounds of one byte each way, each with a header of its own.
        for count in [counters.original, counters.reply] {
            assert!(count.packets >= 5 && count.bytes >= 5 * 41, "{counters:?}");
        }
        let (start, stop) = (end.flow.start.unwrap(), end.flow.stop.unwrap());
        assert!(before <= start && start <= between, "{before} {start} {between}");
        assert!(between <= stop && stop <= after, "{between} {stop} {after}");
    }
}

#[test]
fn without_accounting_the_end_has_no_counters() {
    let router = router("ct-end");
    set(&router.netns, "nf_conntrack_acct", "0");
    set(&router.netns, "nf_conntrack_timestamp", "0");
    let mut conntrack = open(&router.netns, &Filter { protocols: vec![TCP], end: true });
    router.outgoing(Family::V4).connect();
    run(&router.netns, "conntrack", &["-D", "-p", "tcp"]);
    let flow = &events(&mut conntrack, 2)[1].flow;
    assert_eq!((flow.counters, flow.start, flow.stop), (None, None, None));
}

#[test]
fn ends_are_told_only_if_asked_for() {
    let router = router("ct-end");
    let mut conntrack = open(&router.netns, &filter(&[TCP]));
    router.outgoing(Family::V4).connect();
    run(&router.netns, "conntrack", &["-D", "-p", "tcp"]);
    let connection = router.outgoing(Family::V4).connect();
    assert!(tells_of(&events(&mut conntrack, 2)[1], &connection));
}

fn duplicate(conntrack: &Conntrack) -> OwnedFd {
    conntrack.as_fd().try_clone_to_owned().unwrap()
}

#[test]
fn events_wait_for_who_adopts_the_socket() {
    let router = router("ct-adopt");
    let out = router.outgoing(Family::V4);
    let fd = duplicate(&open(&router.netns, &filter(&[TCP, UDP])));
    let mut connections = out.connect_many(20);
    connections.push(out.exchange_datagrams());
    // Adopted outside of the namespace, with another configuration.
    let mut adopted =
        Conntrack::adopt(fd, &Filter { protocols: vec![TCP], end: true }, BUFFER).unwrap();
    let waited = events(&mut adopted, connections.len());
    assert_told(&waited, &connections);
    out.exchange_datagrams();
    let connection = out.connect();
    assert!(tells_of(&events(&mut adopted, 1)[0], &connection));
    run(&router.netns, "conntrack", &["-D", "-p", "tcp"]);
    let ended = events(&mut adopted, connections.len());
    assert_kind(&ended, EventKind::Destroy);
    assert_eq!(
        dump(&mut adopted).iter().filter(|event| event.flow.original.protocol == TCP).count(),
        0
    );
}

/// Asks for a dump and leaves the answer where it is.
fn begin_dump(fd: &impl AsFd) {
    let request = [
        &20u32.to_ne_bytes()[..],  // length
        &[0x01, 0x01, 0x01, 0x03], // IPCTNL_MSG_CT_GET, REQUEST | DUMP
        &1u32.to_ne_bytes(),       // the number that an adopter's first dump has, too
        &0u32.to_ne_bytes(),
        &[0, 0, 0, 0],
    ]
    .concat();
    nix::unistd::write(fd, &request).unwrap();
}

/// The kernel makes the parts of a dump as large as the largest read before. Events are smaller by far.
#[test]
fn a_datagram_that_does_not_fit_counts_as_lost() {
    let router = router("ct-cut");
    let connections = router.outgoing(Family::V4).connect_many(300);
    let mut conntrack = open(&router.netns, &filter(&[TCP]));
    dump(&mut conntrack);
    begin_dump(&conntrack);
    let mut found = Vec::new();
    let drained = conntrack.drain(1000, &mut |event| found.push(event)).unwrap();
    assert_eq!(drained, Drained { lost: true, ..Drained::default() });
    assert!(found.len() < connections.len());
    assert_told(&dump(&mut conntrack), &connections);
}

/// An earlier run may have died in the middle of a dump; a new one can only begin when that has ended.
#[test]
fn a_half_read_dump_does_not_disturb_who_adopts_the_socket() {
    let router = router("ct-adopt");
    router.outgoing(Family::V4).connect_many(300);
    let fd = duplicate(&open(&router.netns, &filter(&[TCP])));
    begin_dump(&fd);
    let mut adopted = Conntrack::adopt(fd, &filter(&[TCP]), BUFFER).unwrap();
    let found = dump(&mut adopted);
    let ids: BTreeSet<u32> = found
        .iter()
        .filter(|event| event.flow.original.protocol == TCP)
        .map(|event| event.flow.id)
        .collect();
    assert_eq!(ids.len(), 300);
    nothing_waits(&mut adopted);
}

#[test]
fn what_is_no_event_socket_is_refused() {
    for (fd, found) in [
        (OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap()), "no netlink socket"),
        (OwnedFd::from(std::fs::File::open("/dev/null").unwrap()), "no netlink socket"),
        (netlink(SockProtocol::NetlinkRoute), "a netlink socket of another family"),
        (
            netlink(SockProtocol::NetlinkNetFilter),
            "a netfilter socket without the events of new connections",
        ),
    ] {
        let error = Conntrack::adopt(fd, &filter(&[TCP]), BUFFER).unwrap_err();
        assert!(matches!(error, Error::Adopted { found: text, .. } if text == found), "{error:?}");
    }
}

/// Any process may send to our port.
#[test]
fn only_the_kernel_is_believed() {
    let router = router("ct-forge");
    let mut conntrack = open(&router.netns, &filter(&[TCP]));
    let portid = getsockname::<NetlinkAddr>(conntrack.as_raw_fd()).unwrap().pid();
    // A new connection that could not be understood: it would be counted.
    let message = [&16u32.to_ne_bytes()[..], &[0, 1, 0, 4], &[0; 8]].concat();
    router.netns.run(|| {
        let forger = netlink(SockProtocol::NetlinkNetFilter);
        let to = NetlinkAddr::new(portid, 0);
        sendto(forger.as_raw_fd(), &message, &to, MsgFlags::empty()).unwrap();
    });
    let connection = router.outgoing(Family::V4).connect();
    assert!(tells_of(&events(&mut conntrack, 1)[0], &connection));
}

fn netlink(protocol: SockProtocol) -> OwnedFd {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), protocol).unwrap()
}

#[test]
fn a_socket_keeps_nothing_alive_once_it_is_dropped() {
    let netns = Netns::new("ct-freed");
    let witness = netns.witness();
    let conntrack = open(&netns, &filter(&[TCP]));
    drop(netns);
    drop(conntrack);
    wait_until("the namespace is freed", PATIENCE, || witness.saw_it_freed());
}
