//! Batches as bytes: the order of their messages, and that what is written is read as what was wanted.

use anetcon_core::expr::{Expr, REG_1};
use anetcon_core::table::BaseChain;
use anetcon_netlink::attribute::Fields;

use super::*;
use crate::decode;
use crate::message::{Message, nf_tables, split};

fn element(key: [u8; 4], interval_end: bool) -> Element {
    Element { key: key.to_vec(), interval_end, foreign: false }
}

fn wanted() -> Table {
    let exprs = vec![
        Expr::Meta { key: 16, dreg: REG_1 },
        Expr::Cmp { op: 0, sreg: REG_1, data: vec![6] },
        Expr::Lookup { set: "n".into(), sreg: REG_1, inverted: false },
        Expr::Counter,
        Expr::Log { prefix: "[D] ".into(), level: 4, flags: 0 },
    ];
    let base = BaseChain { kind: "nat".into(), hook: 4, priority: -150, policy: 1 };
    let rules = vec![Rule { comment: Some("ok".into()), exprs }];
    Table {
        name: "t".into(),
        flags: 0,
        foreign_owner: None,
        sets: vec![Set {
            name: "n".into(),
            key_type: 7,
            key_len: 4,
            flags: 4,
            elements: vec![element([10, 0, 0, 0], false), element([11, 0, 0, 0], true)],
        }],
        chains: vec![Chain { name: "c".into(), base: Some(base), rules }],
    }
}

/// The bytes of a batch without its begin and end, and how it was split into messages.
fn check(outgoing: &Outgoing, check: impl Fn(&[Message<'_>])) {
    let bytes = outgoing.batch.iter().collect::<Vec<_>>().concat();
    let messages = split(&bytes).unwrap();
    let ours: Vec<_> =
        messages.into_iter().filter(|message| nf_tables(message).is_some()).collect();
    check(&ours);
}

#[test]
fn a_replacement_is_add_delete_add_and_then_the_parts() {
    check(&replace(&wanted(), Some(1)).unwrap(), |messages| {
        let numbers: Vec<_> = messages.iter().filter_map(nf_tables).collect();
        // NEWTABLE, DELTABLE, NEWTABLE, NEWSET, NEWSETELEM, NEWCHAIN, NEWRULE.
        assert_eq!(numbers, [0, 2, 0, 9, 12, 3, 6]);
        let flags = |at: usize| decode::table(messages[at].body().unwrap().1).unwrap().flags;
        assert_eq!((flags(0), flags(2)), (1, 0));
        assert!(messages.iter().all(|message| message.flags & crate::message::flag::ACK != 0));
    });
}

#[test]
fn what_is_written_is_read_as_what_was_wanted() {
    check(&replace(&wanted(), None).unwrap(), |messages| {
        let body = |at: usize| messages[at].body().unwrap().1;
        let mut set = decode::set(body(3)).unwrap();
        set.elements = decode::elements(body(4)).unwrap();
        let mut chain = decode::chain(body(5)).unwrap();
        chain.rules.push(decode::rule(body(6)).unwrap().rule);
        let mut expected = wanted().chains[0].clone();
        // What is sent has no numbers in the counter; the kernel puts them in.
        expected.rules[0].exprs[3] = Expr::Other { name: "counter".into(), data: Vec::new() };
        assert_eq!(set, wanted().sets[0]);
        assert_eq!(chain, expected);
    });
}

/// One rule, byte for byte: length and kind of each attribute (0x80: nested), then its value.
#[test]
#[rustfmt::skip]
fn a_rule_as_the_kernel_gets_it() {
    let expected: &[&[u8]] = &[
        &[1, 0, 0, 0],                                           // family inet
        &[6, 0, 1, 0], b"t\0\0\0",                               // NFTA_RULE_TABLE
        &[6, 0, 2, 0], b"c\0\0\0",                               // NFTA_RULE_CHAIN
        &[9, 0, 7, 0], &[0, 3], b"ok\0\0\0\0",                   // NFTA_RULE_USERDATA: comment, 3 bytes
        &[192, 0, 4, 0x80],                                      // NFTA_RULE_EXPRESSIONS
        &[36, 0, 1, 0x80], &[9, 0, 1, 0], b"meta\0\0\0\0",       // NFTA_LIST_ELEM, NFTA_EXPR_NAME
        &[20, 0, 2, 0x80],                                       // NFTA_EXPR_DATA
        &[8, 0, 2, 0], &[0, 0, 0, 16],                           // NFTA_META_KEY: l4proto
        &[8, 0, 1, 0], &[0, 0, 0, 1],                            // NFTA_META_DREG
        &[44, 0, 1, 0x80], &[8, 0, 1, 0], b"cmp\0",
        &[32, 0, 2, 0x80],
        &[8, 0, 1, 0], &[0, 0, 0, 1],                            // NFTA_CMP_SREG
        &[8, 0, 2, 0], &[0, 0, 0, 0],                            // NFTA_CMP_OP: equal
        &[12, 0, 3, 0x80], &[5, 0, 1, 0], &[6, 0, 0, 0],         // NFTA_CMP_DATA, NFTA_DATA_VALUE: tcp
        &[44, 0, 1, 0x80], &[11, 0, 1, 0], b"lookup\0\0",
        &[28, 0, 2, 0x80],
        &[8, 0, 2, 0], &[0, 0, 0, 1],                            // NFTA_LOOKUP_SREG
        &[6, 0, 1, 0], b"n\0\0\0",                               // NFTA_LOOKUP_SET
        &[8, 0, 5, 0], &[0, 0, 0, 0],                            // NFTA_LOOKUP_FLAGS
        &[20, 0, 1, 0x80], &[12, 0, 1, 0], b"counter\0",
        &[4, 0, 2, 0x80],
        &[44, 0, 1, 0x80], &[8, 0, 1, 0], b"log\0",
        &[32, 0, 2, 0x80],
        &[9, 0, 2, 0], b"[D] \0\0\0\0",                          // NFTA_LOG_PREFIX
        &[8, 0, 5, 0], &[0, 0, 0, 4],                            // NFTA_LOG_LEVEL: warning
        &[8, 0, 6, 0], &[0, 0, 0, 0],                            // NFTA_LOG_FLAGS
    ];
    check(&replace(&wanted(), None).unwrap(), |messages| {
        let mut payload = messages[6].payload.to_vec();
        clear_padding(&mut payload[4..]);
        assert_eq!(payload, expected.concat());
    });
}

/// libmnl leaves in the padding of attributes what was there before.
fn clear_padding(stream: &mut [u8]) {
    let mut at = 0;
    while at < stream.len() {
        let end = at + usize::from(u16::from_ne_bytes([stream[at], stream[at + 1]]));
        if stream[at + 3] & 0x80 != 0 {
            clear_padding(&mut stream[at + 4..end]);
        }
        stream[end..end.next_multiple_of(4)].fill(0);
        at = end.next_multiple_of(4);
    }
}

#[test]
fn a_range_ends_before_the_next_one_begins() {
    let mut elements = vec![
        element([10, 0, 0, 0], false),
        element([11, 0, 0, 0], false),
        element([11, 0, 0, 0], true),
        element([12, 0, 0, 0], true),
    ];
    elements.sort();
    let order: Vec<_> = in_kernel_order(&elements)
        .into_iter()
        .map(|element| (element.key[0], element.interval_end))
        .collect();
    assert_eq!(order, [(10, false), (11, true), (11, false), (12, true)]);
}

/// nft takes the byte order of the keys from there when it prints them.
#[test]
fn a_set_s_user_data_is_what_nft_writes() {
    let user_data =
        |attributes: &[u8]| Fields::read(attributes).unwrap().take(13).map(<[u8]>::to_vec);
    let by_nft = include_bytes!("../decode/fixtures/sets.bin").to_vec();
    let by_nft = user_data(split(&by_nft).unwrap()[0].body().unwrap().1);
    check(&replace(&wanted(), None).unwrap(), |messages| {
        assert_eq!(user_data(messages[3].body().unwrap().1), by_nft);
    });
}

#[test]
fn many_elements_are_several_messages() {
    let mut table = wanted();
    table.sets[0].elements = (0..2500u32).map(|n| element((n * 2).to_be_bytes(), false)).collect();
    check(&replace(&table, None).unwrap(), |messages| {
        let lengths: Vec<_> = messages
            .iter()
            .filter(|message| nf_tables(message) == Some(12))
            .map(|message| decode::elements(message.body().unwrap().1).unwrap().len())
            .collect();
        assert_eq!(lengths, [1024, 1024, 452]);
    });
}
