//! Messages byte by byte, as the kernel writes them; and any bytes at all.

use anetcon_netlink::attribute::{NESTED, push};
use anetcon_netlink::message::messages;
use proptest::prelude::*;

use super::*;

/// One attribute.
pub(crate) fn leaf(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    push(&mut stream, kind, data).unwrap();
    stream
}

/// One attribute that holds others.
pub(crate) fn nest(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    leaf(kind | NESTED, &parts.concat())
}

/// A datagram with one message.
pub(crate) fn datagram(kind: u16, flags: u16, family: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    let payload = [&[family, 0, 0, 0][..], &attributes.concat()].concat();
    let length = u32::try_from(16 + payload.len()).unwrap();
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8], &payload]
        .concat()
}

fn tuple_of(kind: u16, [source, destination]: [[u8; 4]; 2], ports: [u16; 2]) -> Vec<u8> {
    nest(
        kind,
        &[
            nest(attribute::TUPLE_IP, &[leaf(1, &source), leaf(2, &destination)]),
            nest(
                attribute::TUPLE_PROTO,
                &[
                    leaf(1, &[6]),
                    leaf(2, &ports[0].to_be_bytes()),
                    leaf(3, &ports[1].to_be_bytes()),
                ],
            ),
        ],
    )
}

const INSTANCE: [u8; 4] = [10, 0, 0, 5];
const OUTSIDE: [u8; 4] = [203, 0, 113, 7];
const REMOTE: [u8; 4] = [192, 0, 2, 1];

/// The attributes of a connection whose source is translated.
pub(crate) fn connection() -> Vec<Vec<u8>> {
    vec![
        tuple_of(1, [INSTANCE, REMOTE], [40_000, 443]),
        tuple_of(2, [REMOTE, OUTSIDE], [443, 41_022]),
        leaf(12, &0xdead_beef_u32.to_be_bytes()),
        leaf(3, &0x198_u32.to_be_bytes()),
        leaf(7, &120_u32.to_be_bytes()),
    ]
}

fn only(datagram: &[u8]) -> Result<Option<Event>, Malformed> {
    let messages: Vec<_> = messages(datagram).collect::<Result<_, _>>()?;
    assert_eq!(messages.len(), 1);
    event(&messages[0])
}

#[test]
fn a_connection_is_read_from_both_its_sides() {
    let mut attributes = connection();
    attributes.push(leaf(18, &7_u16.to_be_bytes()));
    attributes.push(leaf(27, &1_763_906_590_000_000_001_u64.to_be_bytes()));
    let event = only(&datagram(kind::NEW, 0x600, 2, &attributes)).unwrap().unwrap();
    let tuple = |source: ([u8; 4], u16), destination: ([u8; 4], u16)| Tuple {
        protocol: 6,
        source: source.into(),
        destination: destination.into(),
        icmp: None,
    };
    let flow = Flow {
        id: 0xdead_beef,
        zone: 7,
        status: 0x198,
        original: tuple((INSTANCE, 40_000), (REMOTE, 443)),
        reply: tuple((REMOTE, 443), (OUTSIDE, 41_022)),
        counters: None,
        start: None,
        stop: None,
    };
    assert_eq!(event, Event { kind: EventKind::New, flow, time: Some(1_763_906_590_000_000_001) });
}

#[test]
fn the_end_has_counters_and_times() {
    let counters = |kind, packets: u64, bytes: u64| {
        nest(kind, &[leaf(1, &packets.to_be_bytes()), leaf(2, &bytes.to_be_bytes())])
    };
    let mut attributes = connection();
    attributes.push(counters(9, 6, 330));
    attributes.push(counters(10, 5, 270));
    attributes.push(nest(20, &[leaf(1, &11_u64.to_be_bytes()), leaf(2, &12_u64.to_be_bytes())]));
    let event = only(&datagram(kind::DELETE, 0, 2, &attributes)).unwrap().unwrap();
    assert_eq!(event.kind, EventKind::Destroy);
    let expected = Counters {
        original: Count { packets: 6, bytes: 330 },
        reply: Count { packets: 5, bytes: 270 },
    };
    assert_eq!(event.flow.counters, Some(expected));
    assert_eq!((event.flow.start, event.flow.stop), (Some(11), Some(12)));
}

#[test]
fn the_kind_is_in_type_and_flags() {
    for (kind, flags, expected) in [
        (kind::NEW, CREATE, Some(EventKind::New)),
        (kind::NEW, CREATE | flag::MULTI, Some(EventKind::Seen)),
        (kind::NEW, flag::MULTI, Some(EventKind::Seen)),
        // An update of a connection.
        (kind::NEW, 0, None),
        (kind::DELETE, 0, Some(EventKind::Destroy)),
        // Get, an expectation, an nf_tables message, an acknowledgement and the end of a dump.
        (0x0101, CREATE, None),
        (0x0200, CREATE, None),
        (0x0a00, CREATE, None),
        (2, 0, None),
        (3, flag::MULTI, None),
    ] {
        let event = only(&datagram(kind, flags, 2, &connection())).unwrap();
        assert_eq!(event.map(|event| event.kind), expected, "{kind:x} {flags:x}");
    }
}

#[test]
fn the_number_of_connections_is_read_wherever_it_stands() {
    let count = |attributes: &[Vec<u8>]| {
        let datagram = datagram(kind::GET_STATS, flag::MULTI, 0, attributes);
        let message = messages(&datagram).next().unwrap().unwrap();
        assert_eq!(event(&message), Ok(None), "it is no connection");
        entries(&message)
    };
    let (entries, limit) = (leaf(1, &7u32.to_be_bytes()), leaf(2, &262_144_u32.to_be_bytes()));
    assert_eq!(count(&[entries.clone(), limit.clone()]), Ok(7));
    assert_eq!(count(&[limit.clone(), entries]), Ok(7));
    assert!(count(&[limit]).is_err() && count(&[leaf(1, &[7])]).is_err());
}

#[test]
fn what_makes_no_connection_is_malformed() {
    // Without each of the parts that every connection has.
    for left_out in 0..4 {
        let mut attributes = connection();
        attributes.remove(left_out);
        let event = only(&datagram(kind::NEW, CREATE, 2, &attributes));
        assert_eq!(event, Err(Malformed("connection")), "{left_out}");
    }
    let with = |attribute| {
        let mut attributes = connection();
        attributes[0] = attribute;
        only(&datagram(kind::NEW, CREATE, 2, &attributes))
    };
    let ip = || nest(1, &[leaf(1, &INSTANCE), leaf(2, &REMOTE)]);
    let proto = || nest(2, &[leaf(1, &[6])]);
    assert!(with(nest(1, &[ip(), proto()])).is_ok());
    for broken in [
        nest(1, &[proto()]),
        nest(1, &[ip()]),
        nest(1, &[nest(1, &[leaf(1, &INSTANCE)]), proto()]),
        nest(1, &[nest(1, &[leaf(1, &INSTANCE), leaf(2, &[1, 2, 3])]), proto()]),
        nest(1, &[ip(), nest(2, &[leaf(2, &[0, 7])])]),
        nest(1, &[ip(), nest(2, &[leaf(1, &[6, 0])])]),
        leaf(1, &[9, 0, 1, 0]),
    ] {
        assert!(with(broken.clone()).is_err(), "{broken:?}");
    }
}

/// Bytes that resemble attributes: small lengths and kinds, nested or not.
fn attribute_like() -> impl Strategy<Value = Vec<u8>> {
    let leaves = (1u16..30, prop::collection::vec(any::<u8>(), 0..20))
        .prop_map(|(kind, data)| leaf(kind, &data));
    leaves.prop_recursive(3, 40, 5, |inner| {
        (1u16..30, prop::collection::vec(inner, 0..5)).prop_map(|(kind, parts)| nest(kind, &parts))
    })
}

/// Every message of a datagram, whatever it is. The values do not matter here: that there is one does.
fn read(datagram: &[u8]) {
    for message in messages(datagram).flatten() {
        let _ = event(&message);
    }
}

proptest! {
    // A failing case is printed; a test run leaves no file in the tree.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_an_event_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
        read(&datagram(kind::NEW, CREATE, 2, &[bytes]));
    }

    #[test]
    fn any_attributes_are_an_event_or_none(parts in prop::collection::vec(attribute_like(), 0..8)) {
        read(&datagram(kind::NEW, CREATE, 2, &parts));
    }

    #[test]
    fn a_damaged_message_is_an_event_or_none(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = datagram(kind::NEW, CREATE, 2, &connection());
        let position = at.index(bytes.len());
        bytes[position] = byte;
        read(&bytes);
        bytes.truncate(length.index(bytes.len()));
        read(&bytes);
    }

    /// What no reader knows does not hide what it knows.
    #[test]
    fn unknown_attributes_change_nothing(kind in 28u16..0x3fff, data in prop::collection::vec(any::<u8>(), 0..40)) {
        let plain = only(&datagram(kind::NEW, CREATE, 2, &connection()));
        let mut attributes = connection();
        attributes.insert(0, leaf(kind, &data));
        prop_assert_eq!(only(&datagram(kind::NEW, CREATE, 2, &attributes)), plain);
    }
}
