//! Decoding damaged and random bytes: never a panic, and never something that looks undamaged.

use proptest::prelude::*;

use super::tests::{DUMPS, RULES, each};
use super::*;
use crate::message::split;

/// All decoders over the same bytes: none may panic.
fn decode_as_anything(bytes: &[u8]) {
    decode_as_attributes(bytes);
    if let Ok(messages) = split(bytes) {
        for message in messages {
            let _ = crate::ack::answer(&message);
            if let Ok((_, attributes)) = message.body() {
                decode_as_attributes(attributes);
            }
        }
    }
}

fn decode_as_attributes(bytes: &[u8]) {
    let _ = table(bytes);
    let _ = table_of(bytes);
    let _ = chain(bytes);
    let _ = rule(bytes);
    let _ = set(bytes);
    let _ = elements(bytes);
    let _ = generation(bytes);
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode_as_anything(&bytes);
    }

    #[test]
    fn no_flipped_bits_make_a_decoder_panic(
        dump in prop::sample::select(&DUMPS[..]),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u32), 1..6),
    ) {
        let mut bytes = dump.to_vec();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        decode_as_anything(&bytes);
        decode_as_anything(&bytes[20..]);
    }

    #[test]
    fn no_cut_makes_a_decoder_panic_and_none_is_taken_for_whole(
        dump in prop::sample::select(&DUMPS[..]),
        at in any::<prop::sample::Index>(),
    ) {
        let cut = dump[..at.index(dump.len())].to_vec();
        decode_as_anything(&cut);
        if let Ok(messages) = split(&cut) {
            // Whole messages only; the end of the dump is missing.
            let end = |message: &crate::message::Message<'_>| message.kind == crate::message::kind::DONE;
            prop_assert!(!messages.iter().any(end));
        }
    }
}

/// Where the first rule's expressions stand in the dump, up to the counter.
const EXPRESSIONS: std::ops::Range<usize> = 0x3c..0x274;

#[test]
fn every_changed_bit_of_an_expression_is_seen() {
    let ours = &each(RULES, rule)[0].rule;
    let places = values(EXPRESSIONS.start, EXPRESSIONS.end);
    assert!(places.len() > 200, "the walk ended early");
    for at in places {
        for bit in 0..8 {
            let mut bytes = RULES.to_vec();
            bytes[at] ^= 1 << bit;
            let changed = rule(&bytes[20..0x2f0]);
            let seen = changed.is_err() || changed.is_ok_and(|changed| changed.rule != *ours);
            assert!(seen, "bit {bit} of byte {at:#x}");
        }
    }
}

/// The places of the bytes that are values, not headers or padding.
fn values(from: usize, to: usize) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = from;
    while at + 4 <= to {
        let end = at + usize::from(u16::from_le_bytes([RULES[at], RULES[at + 1]]));
        let value = at + 4..end;
        if looks_nested(value.start, value.end) {
            places.extend(values(value.start, value.end));
        } else {
            places.extend(value);
        }
        at = end.next_multiple_of(4);
    }
    places
}

/// Whether these bytes are attributes to their end.
fn looks_nested(from: usize, to: usize) -> bool {
    let mut at = from;
    while at + 4 <= to {
        let length = usize::from(u16::from_le_bytes([RULES[at], RULES[at + 1]]));
        if length < 4 || at + length > to || RULES[at + 3] != 0 {
            return false;
        }
        at += length.next_multiple_of(4);
    }
    at >= to
}
