//! A plan as one batch: the messages in their order, and the words for each that an error will name.
//!
//! A batch is one transaction of the kernel: packets and readers see all of it or nothing.

use std::ffi::CString;

use anetcon_core::table::{Chain, Element, Rule, Set, Table};
use nftnl::{FinalizedBatch, MsgType, NlMsg};

use crate::ack::Expected;
use crate::error::Error;
use crate::ffi;
use crate::word::{self, Reason, c_string, reason};

/// `NFTNL_UDATA_RULE_COMMENT`.
const COMMENT: u8 = 0;
/// nft refuses to print what is longer (`NFTNL_UDATA_COMMENT_MAXLEN`).
const MAX_COMMENT: usize = 127;
/// `NFT_SET_ELEM_INTERVAL_END`.
const INTERVAL_END: u32 = 1;
/// `NFTNL_UDATA_SET_KEYBYTEORDER`, one 4-byte number: 2 is nft's big-endian. Without it nft cannot print the elements
/// of a set as addresses.
const KEY_BYTE_ORDER: (u8, u32) = (0, 2);

/// A finished batch and the answers it awaits.
pub(crate) struct Outgoing {
    pub(crate) batch: FinalizedBatch,
    pub(crate) expected: Expected,
}

/// Makes the table be exactly as wanted, whether or not one of its name exists by then.
///
/// Adding a table that exists is accepted only with the flags that it has; deleting needs one that exists.
pub(crate) fn replace(wanted: &Table, existing_flags: Option<u32>) -> Result<Outgoing, Error> {
    let name = wanted.name.as_str();
    let mut batch = Batch::new();
    batch.table(name, existing_flags.unwrap_or(wanted.flags), MsgType::Add)?;
    batch.table(name, 0, MsgType::Del)?;
    batch.table(name, wanted.flags, MsgType::Add)?;
    for (id, set) in (1..).zip(&wanted.sets) {
        batch.set(name, id, set)?;
    }
    for chain in &wanted.chains {
        batch.chain(name, chain)?;
    }
    for chain in &wanted.chains {
        chain.rules.iter().try_for_each(|rule| batch.rule(name, &chain.name, rule))?;
    }
    Ok(batch.finish())
}

/// Deletes the table and all that is in it.
pub(crate) fn remove(name: &str) -> Result<Outgoing, Error> {
    let mut batch = Batch::new();
    batch.table(name, 0, MsgType::Del)?;
    Ok(batch.finish())
}

struct Batch {
    batch: nftnl::Batch,
    objects: Vec<String>,
}

impl Batch {
    fn new() -> Self {
        Self { batch: nftnl::Batch::new(), objects: Vec::new() }
    }

    fn add(&mut self, object: String, message: &impl NlMsg, how: MsgType) {
        self.batch.add(message, how);
        self.objects.push(object);
    }

    fn table(&mut self, name: &str, flags: u32, how: MsgType) -> Result<(), Error> {
        let object = format!("table `{name}`");
        let message = c_string(name).and_then(|name| ffi::Table::new(&name, flags).map_err(reason));
        let message = written(&object, message)?;
        self.add(object, &message, how);
        Ok(())
    }

    fn chain(&mut self, table: &str, chain: &Chain) -> Result<(), Error> {
        let object = format!("chain `{}`", chain.name);
        let message = written(&object, chain_message(table, chain))?;
        self.add(object, &message, MsgType::Add);
        Ok(())
    }

    fn rule(&mut self, table: &str, chain: &str, rule: &Rule) -> Result<(), Error> {
        let object = match &rule.comment {
            Some(comment) => format!("rule `{comment}`"),
            None => format!("a rule of chain `{chain}`"),
        };
        let message = written(&object, rule_message(table, chain, rule))?;
        self.add(object, &message, MsgType::Add);
        Ok(())
    }

    fn set(&mut self, table: &str, id: u32, set: &Set) -> Result<(), Error> {
        let object = format!("set `{}`", set.name);
        let message = written(&object, set_message(table, id, set))?;
        self.add(object, &message, MsgType::Add);
        let object = format!("elements of set `{}`", set.name);
        for some in in_kernel_order(&set.elements).chunks(ffi::Elements::MAX) {
            let message = written(&object, elements_message(table, id, set, some))?;
            self.add(object.clone(), &message, MsgType::Add);
        }
        Ok(())
    }

    fn finish(self) -> Outgoing {
        let batch = self.batch.finalize();
        let sequences = batch.sequence_numbers();
        let mut expected = Expected::default();
        // Where nftnl asks for their acknowledgement (kernel 6.10), begin and end have numbers too.
        let framed = sequences.len() > self.objects.len();
        let (begin, end) =
            if framed { (Some("the batch"), Some("the batch's end")) } else { (None, None) };
        let objects = begin.map(String::from).into_iter().chain(self.objects);
        for (sequence, object) in sequences.zip(objects.chain(end.map(String::from))) {
            expected.expect(sequence, object);
        }
        Outgoing { batch, expected }
    }
}

fn chain_message(table: &str, chain: &Chain) -> Result<ffi::Chain, Reason> {
    let mut message =
        ffi::Chain::new(&c_string(table)?, &c_string(&chain.name)?).map_err(reason)?;
    if let Some(base) = &chain.base {
        let kind = c_string(&base.kind)?;
        message.hook(&kind, base.hook, base.priority, base.policy).map_err(reason)?;
    }
    Ok(message)
}

fn rule_message(table: &str, chain: &str, rule: &Rule) -> Result<ffi::Rule, Reason> {
    let expressions = rule.exprs.iter().map(word::expression).collect::<Result<_, _>>()?;
    let comment = rule.comment.as_deref().map(c_string).transpose()?;
    let user_data = comment.as_ref().map_or(Ok(Vec::new()), comment_data)?;
    ffi::Rule::new(&c_string(table)?, &c_string(chain)?, &user_data, expressions).map_err(reason)
}

/// The comment as nft stores it in a rule's user data: type, length, text and NUL.
fn comment_data(comment: &CString) -> Result<Vec<u8>, Reason> {
    let text = comment.as_bytes_with_nul();
    let length = u8::try_from(text.len()).ok().filter(|_| text.len() <= MAX_COMMENT);
    let length = length.ok_or("its comment is too long")?;
    Ok([&[COMMENT, length], text].concat())
}

fn set_message(table: &str, id: u32, set: &Set) -> Result<ffi::Set, Reason> {
    let (kind, order) = KEY_BYTE_ORDER;
    let user_data = [&[kind, 4][..], &order.to_ne_bytes()].concat();
    let key = (set.key_type, set.key_len, set.flags);
    ffi::Set::new(&c_string(table)?, &c_string(&set.name)?, id, key, &user_data).map_err(reason)
}

fn elements_message(
    table: &str,
    id: u32,
    set: &Set,
    elements: &[&Element],
) -> Result<ffi::Elements, Reason> {
    if elements.iter().any(|element| element.foreign) {
        return Err("an element is only known from a dump");
    }
    let elements = elements.iter().map(|element| {
        (element.key.as_slice(), if element.interval_end { INTERVAL_END } else { 0 })
    });
    ffi::Elements::new(&c_string(table)?, &c_string(&set.name)?, id, elements).map_err(reason)
}

/// Where one range ends at the key where the next begins, the end goes first: the kernel refuses a range that begins
/// inside one that is still open.
fn in_kernel_order(elements: &[Element]) -> Vec<&Element> {
    let mut ordered: Vec<_> = elements.iter().collect();
    ordered.sort_by_key(|element| (&element.key, !element.interval_end));
    ordered
}

fn written<T>(object: &str, message: Result<T, Reason>) -> Result<T, Error> {
    message.map_err(|reason| Error::Unwritable { object: object.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use anetcon_core::expr::{Expr, REG_1};
    use anetcon_core::table::BaseChain;

    use super::*;
    use crate::attribute::Fields;
    use crate::decode;
    use crate::message::{Message, split};

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
            messages.into_iter().filter(|message| message.nf_tables().is_some()).collect();
        check(&ours);
    }

    #[test]
    fn a_replacement_is_add_delete_add_and_then_the_parts() {
        check(&replace(&wanted(), Some(1)).unwrap(), |messages| {
            let numbers: Vec<_> = messages.iter().filter_map(Message::nf_tables).collect();
            // NEWTABLE, DELTABLE, NEWTABLE, NEWSET, NEWSETELEM, NEWCHAIN, NEWRULE.
            assert_eq!(numbers, [0, 2, 0, 9, 12, 3, 6]);
            let flags = |at: usize| decode::table(messages[at].body().unwrap().1).unwrap().1;
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
        let by_nft = include_bytes!("decode/fixtures/sets.bin").to_vec();
        let by_nft = user_data(split(&by_nft).unwrap()[0].body().unwrap().1);
        check(&replace(&wanted(), None).unwrap(), |messages| {
            assert_eq!(user_data(messages[3].body().unwrap().1), by_nft);
        });
    }

    #[test]
    fn many_elements_are_several_messages() {
        let mut table = wanted();
        table.sets[0].elements =
            (0..2500u32).map(|n| element((n * 2).to_be_bytes(), false)).collect();
        check(&replace(&table, None).unwrap(), |messages| {
            let lengths: Vec<_> = messages
                .iter()
                .filter(|message| message.nf_tables() == Some(12))
                .map(|message| decode::elements(message.body().unwrap().1).unwrap().len())
                .collect();
            assert_eq!(lengths, [1024, 1024, 452]);
        });
    }
}
