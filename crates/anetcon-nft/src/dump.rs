//! Reading one table, whole and consistent.
//!
//! The kernel has no request that reads a table at once. So several dumps are made, with the ruleset's generation
//! asked for before and after: only if it stayed the same do they describe one moment. Where the kernel can
//! filter by table it does, so that a namespace with thousands of foreign rules costs little.

use anetcon_core::observed::{Observed, RuleCounter};
use anetcon_core::table::{Chain, Set, Table};
use nix::errno::Errno;

use crate::ack;
use crate::attribute::{Malformed, array};
use crate::decode::{self, DumpedRule};
use crate::error::Error;
use crate::ffi::Buffer;
use crate::message::{self, Message, flag, kind};
use crate::netlink::Socket;

/// How often a read is begun anew when others change the ruleset meanwhile. One read takes well under a millisecond.
const ATTEMPTS: u32 = 8;

/// Requests over a socket, one after the other.
pub(crate) struct Dump<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) sequence: &'a mut u32,
    pub(crate) buffer: Buffer,
}

impl Dump<'_> {
    /// The state of our table at one generation.
    pub(crate) fn observe(&mut self, table: &str) -> Result<Observed, Error> {
        for _ in 0..ATTEMPTS {
            match self.attempt(table) {
                Err(Error::Interrupted { .. }) => (),
                outcome => return outcome,
            }
        }
        Err(Error::Interrupted { attempts: ATTEMPTS })
    }

    /// Whatever went wrong while the ruleset was changing says nothing, not even that a table is missing.
    fn attempt(&mut self, table: &str) -> Result<Observed, Error> {
        let before = self.generation()?;
        let outcome = self.table(table);
        let after = self.generation()?;
        if before != after {
            return Err(Error::Interrupted { attempts: 1 });
        }
        let (table, counters) = outcome?.unzip();
        Ok(Observed { table, counters: counters.unwrap_or_default(), generation: after })
    }

    /// The generation of the ruleset: it changes with each transaction of the namespace.
    pub(crate) fn generation(&mut self) -> Result<u32, Error> {
        let request =
            Request { object: "the generation", number: kind::GETGEN, flags: 0, attributes: &[] };
        let mut generation = None;
        self.ask(&request, kind::NEWGEN, |attributes| {
            generation = Some(decode::generation(attributes)?.id);
            Ok(())
        })?;
        generation.ok_or_else(|| unanswered(&request))
    }

    /// The names of the inet tables.
    pub(crate) fn tables(&mut self) -> Result<Vec<String>, Error> {
        let request = Request::dump("the tables", kind::GETTABLE, &[]);
        self.collect(&request, kind::NEWTABLE, |attributes| Ok(decode::table(attributes)?.0))
    }

    fn table(&mut self, name: &str) -> Result<Option<(Table, Vec<RuleCounter>)>, Error> {
        let key = [name.as_bytes(), &[0]].concat();
        let Some(flags) = self.flags(name, &key)? else { return Ok(None) };
        let mut chains = self.chains(name)?;
        let counters = self.rules(&key, &mut chains)?;
        let sets = self.sets(&key)?;
        Ok(Some((Table { name: name.to_owned(), flags, sets, chains }, counters)))
    }

    /// The table's flags; `None` if there is no such table.
    fn flags(&mut self, name: &str, key: &[u8]) -> Result<Option<u32>, Error> {
        let object = format!("table `{name}`");
        let attributes = [(decode::TABLE, key)];
        let request =
            Request { object: &object, number: kind::GETTABLE, flags: 0, attributes: &attributes };
        match self.collect(&request, kind::NEWTABLE, decode::table) {
            Ok(tables) => match tables.into_iter().find(|(found, _)| found == name) {
                Some((_, flags)) => Ok(Some(flags)),
                None => Err(unanswered(&request)),
            },
            Err(Error::Refused { errno: Errno::ENOENT, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The chains, sorted by name. The kernel cannot filter them by table; there are few of family inet.
    fn chains(&mut self, table: &str) -> Result<Vec<Chain>, Error> {
        let request = Request::dump("the chains", kind::GETCHAIN, &[]);
        let found = self.collect(&request, kind::NEWCHAIN, |attributes| {
            let ours = decode::table_of(attributes)? == table;
            ours.then(|| decode::chain(attributes)).transpose()
        })?;
        let mut chains: Vec<_> = found.into_iter().flatten().collect();
        chains.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(chains)
    }

    /// Puts the rules into their chains and returns what they counted, chain by chain.
    fn rules(&mut self, key: &[u8], chains: &mut [Chain]) -> Result<Vec<RuleCounter>, Error> {
        let attributes = [(decode::TABLE, key)];
        let request = Request::dump("the rules", kind::GETRULE, &attributes);
        let mut rules = self.collect(&request, kind::NEWRULE, decode::rule)?;
        // A stable sort: within a chain the order stays.
        rules.sort_by(|one, other| one.chain.cmp(&other.chain));
        let counters = rules.iter().filter_map(rule_counter).collect();
        for DumpedRule { chain, rule, .. } in rules {
            let chain = chains.iter_mut().find(|known| known.name == chain);
            let source = Malformed("rule of an unknown chain");
            chain.ok_or_else(|| malformed(&request, source))?.rules.push(rule);
        }
        Ok(counters)
    }

    /// The named sets with their elements, sorted. Anonymous sets have names too, and belong to rules that are not ours.
    fn sets(&mut self, key: &[u8]) -> Result<Vec<Set>, Error> {
        let attributes = [(decode::TABLE, key)];
        let request = Request::dump("the sets", kind::GETSET, &attributes);
        let mut sets = self.collect(&request, kind::NEWSET, decode::set)?;
        for set in &mut sets {
            self.elements(key, set)?;
        }
        sets.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(sets)
    }

    fn elements(&mut self, key: &[u8], set: &mut Set) -> Result<(), Error> {
        let object = format!("the elements of set `{}`", set.name);
        let name = [set.name.as_bytes(), &[0]].concat();
        let attributes = [(decode::TABLE, key), (2, &name[..])];
        let request = Request::dump(&object, kind::GETSETELEM, &attributes);
        let found = self.collect(&request, kind::NEWSETELEM, decode::elements)?;
        set.elements.extend(found.into_iter().flatten());
        set.elements.sort();
        Ok(())
    }

    /// One value per message of the answer.
    fn collect<T>(
        &mut self,
        request: &Request<'_>,
        answer: u16,
        decode: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Error> {
        let mut values = Vec::new();
        self.ask(request, answer, |attributes| {
            values.push(decode(attributes)?);
            Ok(())
        })?;
        Ok(values)
    }

    /// Sends a request and hands each message of the answer to `take`, until the kernel says that it was the last.
    fn ask(
        &mut self,
        request: &Request<'_>,
        answer: u16,
        mut take: impl FnMut(&[u8]) -> Result<(), Malformed>,
    ) -> Result<(), Error> {
        self.socket.discard(&mut self.buffer)?;
        *self.sequence = self.sequence.wrapping_add(1);
        let sequence = *self.sequence;
        let flags = request.flags | flag::ACK;
        let bytes = message::request(request.number, flags, sequence, request.attributes)
            .ok_or_else(|| Error::Unwritable {
                object: request.object.to_owned(),
                reason: "its name is too long",
            })?;
        self.socket.send(&[&bytes])?;
        while let Some(datagram) = self.socket.receive(&mut self.buffer)? {
            let messages = message::split(datagram).map_err(|source| malformed(request, source))?;
            for message in messages.iter().filter(|message| message.sequence == sequence) {
                if end(message, request, answer, &mut take)? {
                    return Ok(());
                }
            }
        }
        Err(unanswered(request))
    }
}

/// Deals with one message of an answer; true if it was the last.
fn end(
    message: &Message<'_>,
    request: &Request<'_>,
    answer: u16,
    take: &mut impl FnMut(&[u8]) -> Result<(), Malformed>,
) -> Result<bool, Error> {
    if message.flags & flag::DUMP_INTR != 0 {
        return Err(Error::Interrupted { attempts: 1 });
    }
    let malformed = |source| malformed(request, source);
    match message.kind {
        kind::ERROR => match ack::answer(message).map_err(malformed)?.refusal {
            Some(refusal) => Err(refusal.of(request.object)),
            None => Ok(true),
        },
        kind::DONE => done(message, request).map(|()| true),
        _ if message.nf_tables() == Some(answer) => {
            message.body().and_then(|(_, attributes)| take(attributes)).map_err(malformed)?;
            Ok(false)
        }
        _ => Err(malformed(Malformed("answer of another kind"))),
    }
}

/// The end of a dump carries its outcome.
fn done(message: &Message<'_>, request: &Request<'_>) -> Result<(), Error> {
    let code = message.payload.get(..4).and_then(array).map(i32::from_ne_bytes);
    match code {
        Some(0) => Ok(()),
        Some(code) => {
            let errno = Errno::from_raw(code.checked_neg().unwrap_or(code));
            Err(ack::Refusal { errno, message: None, offset: None }.of(request.object))
        }
        None => Err(malformed(request, Malformed("end of a dump"))),
    }
}

/// One request, and the words for it.
struct Request<'a> {
    object: &'a str,
    number: u16,
    flags: u16,
    attributes: &'a [(u16, &'a [u8])],
}

impl<'a> Request<'a> {
    fn dump(object: &'a str, number: u16, attributes: &'a [(u16, &'a [u8])]) -> Self {
        Self { object, number, flags: flag::DUMP, attributes }
    }
}

fn rule_counter(dumped: &DumpedRule) -> Option<RuleCounter> {
    let (packets, bytes) = dumped.counter?;
    Some(RuleCounter { comment: dumped.rule.comment.clone(), packets, bytes })
}

fn unanswered(request: &Request<'_>) -> Error {
    Error::Unanswered { object: request.object.to_owned() }
}

fn malformed(request: &Request<'_>, source: Malformed) -> Error {
    Error::Malformed { object: request.object.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Request<'_> =
        Request { object: "the rules", number: kind::GETRULE, flags: flag::DUMP, attributes: &[] };
    const NEWRULE: u16 = kind::SUBSYSTEM << 8 | kind::NEWRULE;

    /// What becomes of one message of an answer.
    fn outcome(kind: u16, flags: u16, payload: &[u8]) -> Result<bool, Error> {
        let message = Message { kind, flags, sequence: 1, portid: 0, payload };
        end(&message, &REQUEST, kind::NEWRULE, &mut |attributes| decode::rule(attributes).map(drop))
    }

    #[test]
    fn only_a_good_end_is_the_end() {
        assert!(outcome(kind::DONE, 0, &[0; 4]).unwrap());
        assert!(outcome(kind::ERROR, flag::CAPPED, &[0; 20]).unwrap());
        assert!(!outcome(NEWRULE, 0, &[1, 0, 0, 0, 6, 0, 2, 0, b'c', 0, 0, 0]).unwrap());
    }

    #[test]
    fn an_interrupted_dump_is_begun_again() {
        for kind in [NEWRULE, kind::DONE] {
            let outcome = outcome(kind, flag::DUMP_INTR, &[0; 4]);
            assert!(matches!(outcome, Err(Error::Interrupted { .. })), "{outcome:?}");
        }
    }

    #[test]
    fn a_dump_can_fail_at_its_end() {
        let outcome = outcome(kind::DONE, 0, &(-12i32).to_ne_bytes());
        assert!(
            matches!(&outcome, Err(Error::Refused { object, errno: Errno::ENOMEM, .. }) if object == "the rules"),
            "{outcome:?}"
        );
    }

    #[test]
    fn what_is_cut_or_of_another_kind_is_an_error() {
        for (kind, payload) in [
            (kind::DONE, &[0, 0][..]),
            (kind::ERROR, &[0, 0]),
            (NEWRULE, &[1, 0]),
            (NEWRULE, &[1, 0, 0, 0, 7, 0, 2, 0, b'c', 0]),
            (NEWRULE, &[1, 0, 0, 0]),
            (kind::SUBSYSTEM << 8 | kind::NEWSET, &[1, 0, 0, 0]),
            (0x0100, &[0; 8]),
        ] {
            let outcome = outcome(kind, 0, payload);
            assert!(matches!(outcome, Err(Error::Malformed { .. })), "{payload:?}: {outcome:?}");
        }
    }
}
