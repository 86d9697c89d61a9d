//! Decoding against bytes: annotated ones, and dumps that a 6.18 kernel gave for `fixtures/table.nft`.

use anetcon_core::expr::{Expr, REG_1};
use anetcon_core::table::{BaseChain, Chain, Element, Rule};
use anetcon_netlink::attribute::push;

use super::*;
use crate::message::{nf_tables, split};

const TABLES: &[u8] = include_bytes!("fixtures/tables.bin");
const CHAINS: &[u8] = include_bytes!("fixtures/chains.bin");
pub(super) const RULES: &[u8] = include_bytes!("fixtures/rules.bin");
const SETS: &[u8] = include_bytes!("fixtures/sets.bin");
const ELEMENTS: &[u8] = include_bytes!("fixtures/elements.bin");
const GENERATION: &[u8] = include_bytes!("fixtures/generation.bin");
pub(super) const DUMPS: [&[u8]; 6] = [TABLES, CHAINS, RULES, SETS, ELEMENTS, GENERATION];

/// Decodes each nf_tables message of a dump.
pub(super) fn each<T>(dump: &[u8], decode: impl Fn(&[u8]) -> Result<T, Malformed>) -> Vec<T> {
    // Messages must be aligned, which a constant is not and a vector is.
    let dump = dump.to_vec();
    let messages = split(&dump).unwrap();
    let bodies = messages.iter().filter(|message| nf_tables(message).is_some());
    bodies.map(|message| decode(message.body().unwrap().1).unwrap()).collect()
}

fn element(key: [u8; 4], interval_end: bool) -> Element {
    Element { key: key.to_vec(), interval_end, foreign: false }
}

#[test]
fn a_dumped_table() {
    let expected = DumpedTable { name: "anetcon".to_owned(), flags: 0, owner: None };
    assert_eq!(each(TABLES, table), [expected]);
}

#[test]
fn a_dumped_chain() {
    let base = BaseChain { kind: "nat".into(), hook: 4, priority: -150, policy: 1 };
    let expected = Chain { name: "anetcon".into(), base: Some(base), rules: Vec::new() };
    assert_eq!(each(CHAINS, chain), [expected]);
}

#[test]
fn a_dumped_rule_is_what_is_wanted_and_its_counter_is_apart() {
    let rules = each(RULES, rule);
    let cmp = |op, data: &[u8]| Expr::Cmp { op, sreg: REG_1, data: data.to_vec() };
    let bits = |mask: u32| Expr::Bitwise {
        sreg: REG_1,
        dreg: REG_1,
        len: 4,
        mask: mask.to_le_bytes().to_vec(),
        xor: vec![0; 4],
    };
    let exprs = vec![
        Expr::Meta { key: 16, dreg: REG_1 }, // l4proto
        cmp(0, &[6]),                        // tcp
        Expr::Ct { key: 0, dreg: REG_1 },    // state
        bits(8),                             // new
        cmp(1, &[0; 4]),
        Expr::Ct { key: 2, dreg: REG_1 }, // status
        bits(32),                         // dnat
        cmp(1, &[0; 4]),
        Expr::Meta { key: 15, dreg: REG_1 }, // nfproto
        cmp(0, &[2]),                        // ipv4
        Expr::Payload { base: 1, offset: 16, len: 4, dreg: REG_1 }, // daddr
        Expr::Lookup { set: "networks4".into(), sreg: REG_1, inverted: false },
        Expr::Counter,
        Expr::Log { prefix: "[ANETCON][D][5d41402a] ".into(), level: 4, flags: 0 },
    ];
    let comment = Some("anetcon float ipv4".to_owned());
    assert_eq!(rules.len(), 2);
    assert_eq!(rules[0].chain, "anetcon");
    assert_eq!(rules[0].rule, Rule { comment, exprs });
    assert_eq!(rules[0].counter, Some((5, 300)));
}

#[test]
fn words_of_other_people_are_kept_by_name() {
    let rules = each(RULES, rule);
    let names: Vec<_> = rules[1]
        .rule
        .exprs
        .iter()
        .filter_map(|expr| match expr {
            Expr::Other { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    // `ct original packets`, the constant and the `meta mark set`, `limit`, the verdict.
    assert_eq!(names, ["ct", "immediate", "meta", "limit", "immediate"]);
    assert_eq!(rules[1].rule.comment, None);
}

#[test]
fn a_dumped_set_and_its_elements() {
    let sets = each(SETS, set);
    let [set] = &sets[..] else { panic!("{sets:?}") };
    assert_eq!((&*set.name, set.key_type, set.key_len, set.flags), ("networks4", 7, 4, 4));
    assert!(set.elements.is_empty(), "{set:?}");
    // The dump's last message has none, and the end at 0.0.0.0 that nft writes says nothing.
    let elements = each(ELEMENTS, elements).concat();
    assert_eq!(elements, [element([11, 0, 0, 0], true), element([10, 0, 0, 0], false)]);
}

/// A list with one element of these attributes.
fn one_element(fields: &[(u16, &[u8])]) -> Element {
    let (mut nest, mut list, mut attributes) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, value) in fields {
        push(&mut nest, *kind, value).unwrap();
    }
    push(&mut list, 1, &nest).unwrap();
    push(&mut attributes, 3, &list).unwrap();
    elements(&attributes).unwrap().remove(0)
}

#[test]
fn an_element_with_more_than_a_key_is_not_ours() {
    let key = (1, &[8, 0, 1, 0, 10, 0, 0, 0][..]); // NFTA_SET_ELEM_KEY, NFTA_DATA_VALUE
    let end = (3, &[0, 0, 0, 1][..]); // NFTA_SET_ELEM_FLAGS: NFT_SET_ELEM_INTERVAL_END
    let comment = (6, &b"\x00\x02x\0"[..]); // NFTA_SET_ELEM_USERDATA
    assert_eq!(one_element(&[key]), element([10, 0, 0, 0], false));
    assert_eq!(one_element(&[key, end, comment]), element([10, 0, 0, 0], true));
    for more in [
        (3, &[0, 0, 0, 2][..]), // NFT_SET_ELEM_CATCHALL
        (4, &[0; 8]),           // NFTA_SET_ELEM_TIMEOUT
        (2, key.1),             // NFTA_SET_ELEM_DATA
        (7, &[]),               // NFTA_SET_ELEM_EXPR
        (10, key.1),            // NFTA_SET_ELEM_KEY_END
        (99, &[]),              // of a later kernel
    ] {
        assert!(one_element(&[key, more]).foreign, "{more:?}");
    }
    assert!(one_element(&[]).foreign);
}

#[test]
fn a_generation_with_its_author() {
    let expected = Generation { id: 2, tid: 0x0a73, name: "python3".into() };
    assert_eq!(each(GENERATION, generation), [expected]);
}

/// Attributes of a `log` expression in a rule, one after the other.
fn log_rule(fields: &[(u16, &[u8])]) -> Rule {
    let mut data = Vec::new();
    for (kind, value) in fields {
        push(&mut data, *kind, value).unwrap();
    }
    let mut expression = Vec::new();
    push(&mut expression, 1, b"log\0").unwrap();
    push(&mut expression, 2, &data).unwrap();
    let mut list = Vec::new();
    push(&mut list, 1, &expression).unwrap();
    let mut attributes = Vec::new();
    push(&mut attributes, 2, b"c\0").unwrap();
    push(&mut attributes, 4, &list).unwrap();
    rule(&attributes).unwrap().rule
}

#[test]
fn a_log_without_level_is_a_warning_and_with_more_it_is_not_ours() {
    let prefix = (2, &b"x\0"[..]);
    let plain = Expr::Log { prefix: "x".into(), level: 4, flags: 0 };
    assert_eq!(log_rule(&[prefix]).exprs, [plain]);
    for more in [(1, &[0, 1][..]), (3, &[0, 0, 0, 9]), (4, &[0, 9]), (2, b"y\0"), (99, b"")] {
        let exprs = log_rule(&[prefix, more]).exprs;
        assert!(matches!(&exprs[..], [Expr::Other { name, .. }] if name == "log"), "{exprs:?}");
    }
}

#[test]
fn a_chain_with_devices_or_flags_has_another_kind() {
    let chain_of = |hook_more: &[u8], flags: u32| {
        let mut hook = Vec::new();
        push(&mut hook, 1, &4u32.to_be_bytes()).unwrap();
        push(&mut hook, 2, &(-150i32).to_be_bytes()).unwrap();
        hook.extend_from_slice(hook_more);
        let mut attributes = Vec::new();
        push(&mut attributes, 3, b"anetcon\0").unwrap();
        push(&mut attributes, 4, &hook).unwrap();
        push(&mut attributes, 5, &1u32.to_be_bytes()).unwrap();
        push(&mut attributes, 7, b"nat\0").unwrap();
        push(&mut attributes, 10, &flags.to_be_bytes()).unwrap();
        chain(&attributes).unwrap().base.unwrap().kind
    };
    let mut device = Vec::new();
    push(&mut device, 3, b"eth0\0").unwrap();
    assert_eq!(chain_of(&[], 1), "nat");
    assert_eq!(chain_of(&device, 1), "nat with devices");
    assert_eq!(chain_of(&[], 3), "nat with flags 0x3");
}

#[test]
fn user_data_that_is_more_than_a_comment_is_not_ours() {
    for (user_data, comment, known) in [
        (&b"\x00\x03ok\0"[..], Some("ok"), true),
        (b"\x00\x03ok\0\x01\x00", None, false),
        (b"\x01\x03ok\0", None, false),
        (b"\x00\x09ok\0", None, false),
    ] {
        let mut attributes = Vec::new();
        push(&mut attributes, 2, b"c\0").unwrap();
        push(&mut attributes, 7, user_data).unwrap();
        let rule = rule(&attributes).unwrap().rule;
        assert_eq!(rule.comment.as_deref(), comment);
        assert_eq!(rule.exprs.is_empty(), known, "{user_data:?}");
    }
}

#[test]
fn what_is_missing_is_malformed_and_not_empty() {
    assert!(table(&[]).is_err());
    assert!(chain(&[]).is_err());
    assert!(rule(&[]).is_err());
    assert!(set(&[]).is_err());
    assert!(generation(&[]).is_err());
    assert!(table_of(&[]).is_err());
}
