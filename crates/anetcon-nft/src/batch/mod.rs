//! A plan as one batch: the messages in their order, and the words for each that an error will name.
//!
//! A batch is one transaction of the kernel: packets and readers see all of it or nothing.

mod removal;
#[cfg(test)]
mod tests;

pub(crate) use removal::{Written, removal};

use std::ffi::CString;

use anetcon_core::table::{Chain, Element, Rule, Set, Table};
use nftnl::{FinalizedBatch, MsgType, NlMsg};

use crate::ack::Expected;
use crate::error::Error;
use crate::ffi;
use crate::word::{self, Reason, c_string, reason};

/// `NFTNL_UDATA_RULE_COMMENT`.
const COMMENT: u8 = 0;
/// With the NUL; nft takes no longer ones (`NFTNL_UDATA_COMMENT_MAXLEN`).
const MAX_COMMENT: usize = 128;
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
    batch.table(name, existing_flags.unwrap_or_default(), MsgType::Add)?;
    batch.table(name, 0, MsgType::Del)?;
    batch.table(name, wanted.flags, MsgType::Add)?;
    batch.sets(wanted)?;
    for chain in &wanted.chains {
        batch.chain(name, chain)?;
    }
    batch.rules(wanted)?;
    Ok(batch.finish())
}

/// Gives the chains of a table that is there the wanted rules, and the table the wanted sets. Rules go before the sets
/// that they name, and come after them.
pub(crate) fn refill(wanted: &Table, existing_sets: &[String]) -> Result<Outgoing, Error> {
    let name = wanted.name.as_str();
    let mut batch = Batch::new();
    for chain in &wanted.chains {
        batch.no_rules(name, &chain.name)?;
    }
    for set in existing_sets {
        batch.no_set(name, set)?;
    }
    batch.sets(wanted)?;
    batch.rules(wanted)?;
    Ok(batch.finish())
}

/// Becomes the owner of a table that has none, by adding it with the flags that it is to have.
pub(crate) fn claim(name: &str, flags: u32) -> Result<Outgoing, Error> {
    let mut batch = Batch::new();
    batch.table(name, flags, MsgType::Add)?;
    Ok(batch.finish())
}

/// Adds a table with these flags and then fails for sure, so nothing remains: the kernel says `ENOENT` if it knows the
/// flags, `EOPNOTSUPP` if not (nf_tables_newtable).
pub(crate) fn probe(flags: u32) -> Result<Outgoing, Error> {
    let mut batch = Batch::new();
    batch.table("anetcon-probe", flags, MsgType::Add)?;
    batch.table("anetcon-probe-none", 0, MsgType::Del)?;
    Ok(batch.finish())
}

/// Deletes the table and all that is in it.
pub(crate) fn remove(name: &str) -> Result<Outgoing, Error> {
    let mut batch = Batch::new();
    batch.table(name, 0, MsgType::Del)?;
    Ok(batch.finish())
}

/// Changes nothing, but waits for the kernel's commit lock: a commit that was under way is finished after it.
pub(crate) fn barrier() -> Outgoing {
    Batch::new().finish()
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

    fn sets(&mut self, table: &Table) -> Result<(), Error> {
        (1..).zip(&table.sets).try_for_each(|(id, set)| self.set(&table.name, id, set))
    }

    fn rules(&mut self, table: &Table) -> Result<(), Error> {
        for chain in &table.chains {
            chain.rules.iter().try_for_each(|rule| self.rule(&table.name, &chain.name, rule))?;
        }
        Ok(())
    }

    /// Without a handle, all rules of the chain are meant.
    fn no_rules(&mut self, table: &str, chain: &str) -> Result<(), Error> {
        let object = format!("the rules of chain `{chain}`");
        let all = Rule { comment: None, exprs: Vec::new() };
        let message = written(&object, rule_message(table, chain, &all))?;
        self.add(object, &message, MsgType::Del);
        Ok(())
    }

    fn no_set(&mut self, table: &str, set: &str) -> Result<(), Error> {
        let object = format!("set `{set}`");
        let message = c_string(table)
            .and_then(|table| ffi::Set::named(&table, &c_string(set)?).map_err(reason));
        let message = written(&object, message)?;
        self.add(object, &message, MsgType::Del);
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
