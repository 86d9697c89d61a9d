//! The program as the kernel runs it: attached to a socket over which a test can send any bytes.

use std::os::unix::net::UnixDatagram;

use proptest::prelude::*;
use socket2::SockRef;

use super::*;
use crate::decode::tests::{connection, datagram, leaf, nest};

const CREATE: u16 = 0x400;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A pair of sockets with the program at one end.
struct Gate {
    near: UnixDatagram,
    far: UnixDatagram,
}

impl Gate {
    fn new(protocols: &[u8]) -> Self {
        let (near, far) = UnixDatagram::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        let filter = Filter { protocols: protocols.to_vec(), end: false };
        SockRef::from(&far).attach_filter(&filter.program()).unwrap();
        Self { near, far }
    }

    /// Whether a datagram comes through, and then whole.
    fn passes(&self, bytes: &[u8]) -> bool {
        // A refused datagram is an error for who sends it on this kind of socket, or none.
        let _ = self.near.send(bytes);
        let mut buffer = vec![0; bytes.len() + 1];
        let received = self.far.recv(&mut buffer);
        if let Ok(length) = received {
            assert_eq!(&buffer[..length], bytes);
        }
        received.is_ok()
    }
}

/// An event of a connection of this protocol, with these attributes first in its tuple.
fn event(protocol: u8, first: &[Vec<u8>]) -> Vec<u8> {
    let mut tuple = first.to_vec();
    tuple.push(nest(2, &[leaf(1, &[protocol]), leaf(2, &[0, 6]), leaf(3, &[0, 17])]));
    let mut attributes = connection();
    attributes[0] = nest(1, &tuple);
    datagram(kind::NEW, CREATE, 2, &attributes)
}

#[test]
fn only_wanted_protocols_pass() {
    let v4 = nest(1, &[leaf(1, &[10, 0, 0, 1]), leaf(2, &[10, 0, 0, 2])]);
    let v6 = nest(1, &[leaf(3, &[6; 16]), leaf(4, &[17; 16])]);
    let zone = leaf(3, &[0, 9]);
    for wanted in [&[TCP][..], &[UDP], &[TCP, UDP], &[1, 58], &[]] {
        let gate = Gate::new(wanted);
        for first in [vec![v4.clone()], vec![v6.clone()], vec![v4.clone(), zone.clone()], vec![]] {
            for protocol in [TCP, UDP, 1, 58, 132, 0, 255] {
                let passes = gate.passes(&event(protocol, &first));
                assert_eq!(passes, wanted.contains(&protocol), "{protocol} of {wanted:?}");
            }
        }
    }
}

#[test]
fn every_protocol_can_be_wanted_at_once() {
    let all: Vec<u8> = (0..=255).collect();
    let gate = Gate::new(&all);
    assert!(all.iter().all(|&protocol| gate.passes(&event(protocol, &[]))));
}

#[test]
fn ends_are_judged_as_beginnings_are() {
    let gate = Gate::new(&[UDP]);
    assert!(!gate.passes(&datagram(kind::DELETE, 0, 2, &connection())));
    assert!(Gate::new(&[TCP]).passes(&datagram(kind::DELETE, 0, 2, &connection())));
}

/// It fails open: what is no event, or none that can be understood, is for the reader to judge.
#[test]
fn what_is_not_understood_passes() {
    let gate = Gate::new(&[UDP]);
    assert!(!gate.passes(&event(TCP, &[])), "the gate is shut");
    for (what, bytes) in [
        ("part of a dump", datagram(kind::NEW, 0x2, 2, &connection())),
        ("the end of a dump", datagram(3, 0x2, 0, &[])),
        ("an error", datagram(2, 0, 0, &connection())),
        ("another subsystem", datagram(0x0a00, CREATE, 2, &connection())),
        ("no attributes", datagram(kind::NEW, CREATE, 2, &[])),
        ("no tuple", datagram(kind::NEW, CREATE, 2, &connection()[2..])),
        ("no protocol", datagram(kind::NEW, CREATE, 2, &[nest(1, &[leaf(1, &[0; 4])])])),
        ("no number", datagram(kind::NEW, CREATE, 2, &[nest(1, &[nest(2, &[leaf(2, &[0, 7])])])])),
        ("a tuple cut short", datagram(kind::NEW, CREATE, 2, &[vec![200, 0, 1, 128, 8, 0]])),
    ] {
        assert!(gate.passes(&bytes), "{what}");
    }
}

#[test]
fn the_groups_are_those_of_linux_nfnetlink_compat() {
    assert_eq!(Filter { protocols: vec![], end: false }.groups(), 0b001);
    assert_eq!(Filter { protocols: vec![], end: true }.groups(), 0b101);
}

proptest! {
    // A failing case is printed; a test run leaves no file in the tree.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What the reader takes for a connection of a wanted protocol is never refused, however odd the message.
    #[test]
    fn no_wanted_connection_is_refused(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        protocol in prop::sample::select(vec![TCP, UDP]),
    ) {
        let mut bytes = event(protocol, &[nest(1, &[leaf(1, &[10, 0, 0, 1]), leaf(2, &[10, 0, 0, 2])])]);
        let position = at.index(bytes.len());
        bytes[position] = byte;
        let read = anetcon_netlink::message::messages(&bytes).next().and_then(Result::ok);
        let event = read.and_then(|message| crate::decode::event(&message).ok().flatten());
        let wanted = event.is_some_and(|event| event.flow.original.protocol == TCP);
        prop_assert!(!wanted || Gate::new(&[TCP]).passes(&bytes));
    }
}
