//! One request or batch at a time, and all of its answer: where it ends, and what makes it void.

use anetcon_core::expr::kernel::NFPROTO_INET;
use anetcon_netlink::{Malformed, array};
use nix::errno::Errno;

use crate::ack::{self, Expected};
use crate::batch::{Outgoing, Written};
use crate::error::Error;
use crate::ffi::Buffer;
use crate::message::{self, Message, flag, kind, nf_tables};
use crate::netlink::Socket;

/// Requests over a socket, one after the other.
pub(crate) struct Requests<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) sequence: &'a mut u32,
    pub(crate) buffer: Buffer,
}

/// One request, and the words for it.
pub(crate) struct Request<'a> {
    /// What is asked for, as an error names it.
    pub(crate) object: &'a str,
    /// `NFPROTO_*`; 0: every family.
    pub(crate) family: u8,
    /// `NFT_MSG_GET*`.
    pub(crate) number: u16,
    /// Beside `NLM_F_REQUEST` and `NLM_F_ACK`.
    pub(crate) flags: u16,
    /// Kinds and values.
    pub(crate) attributes: &'a [(u16, &'a [u8])],
}

impl<'a> Request<'a> {
    /// A request that is answered by many messages.
    pub(crate) fn dump(object: &'a str, number: u16, attributes: &'a [(u16, &'a [u8])]) -> Self {
        Self { object, family: NFPROTO_INET, number, flags: flag::DUMP, attributes }
    }

    pub(crate) fn unanswered(&self) -> Error {
        Error::Unanswered { object: self.object.to_owned() }
    }

    pub(crate) fn malformed(&self, source: Malformed) -> Error {
        Error::Malformed { object: self.object.to_owned(), source }
    }
}

impl Requests<'_> {
    /// Sends a batch and judges it by its acknowledgements.
    pub(crate) fn commit(&mut self, outgoing: Outgoing) -> Result<(), Error> {
        let Outgoing { batch, expected } = outgoing;
        self.deliver(&batch.iter().collect::<Vec<_>>(), expected)
    }

    /// The same for a batch that is bytes already.
    pub(crate) fn commit_written(&mut self, written: Written) -> Result<(), Error> {
        self.deliver(&[&written.bytes], written.expected)
    }

    fn deliver(&mut self, pages: &[&[u8]], mut expected: Expected) -> Result<(), Error> {
        self.socket.discard(&mut self.buffer)?;
        self.socket.send(pages)?;
        while let Some(datagram) = self.socket.receive(&mut self.buffer)? {
            message::split(datagram)
                .and_then(|messages| messages.iter().try_for_each(|message| expected.note(message)))
                .map_err(|source| Error::Malformed { object: "the batch".to_owned(), source })?;
        }
        expected.verdict()
    }

    /// One value per message of the answer.
    pub(crate) fn collect<T>(
        &mut self,
        request: &Request<'_>,
        answer: u16,
        decode: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Error> {
        self.collect_of(request, answer, |_, attributes| decode(attributes))
    }

    /// The same, where the family of each message counts, too.
    pub(crate) fn collect_of<T>(
        &mut self,
        request: &Request<'_>,
        answer: u16,
        decode: impl Fn(u8, &[u8]) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Error> {
        let mut values = Vec::new();
        self.ask(request, answer, |family, attributes| {
            values.push(decode(family, attributes)?);
            Ok(())
        })?;
        Ok(values)
    }

    /// Sends a request and hands each message of the answer to `take`, until the kernel says that it was the last.
    fn ask(
        &mut self,
        request: &Request<'_>,
        answer: u16,
        mut take: impl FnMut(u8, &[u8]) -> Result<(), Malformed>,
    ) -> Result<(), Error> {
        self.socket.discard(&mut self.buffer)?;
        *self.sequence = self.sequence.wrapping_add(1);
        let sequence = *self.sequence;
        let flags = request.flags | flag::ACK;
        let bytes =
            message::request(request.family, request.number, flags, sequence, request.attributes)
                .ok_or_else(|| Error::Unwritable {
                object: request.object.to_owned(),
                reason: "its name is too long",
            })?;
        self.socket.send(&[&bytes])?;
        while let Some(datagram) = self.socket.receive(&mut self.buffer)? {
            let messages = message::split(datagram).map_err(|source| request.malformed(source))?;
            for message in messages.iter().filter(|message| message.sequence == sequence) {
                if end(message, request, answer, &mut take)? {
                    return Ok(());
                }
            }
        }
        Err(request.unanswered())
    }
}

/// Deals with one message of an answer; true if it was the last.
fn end(
    message: &Message<'_>,
    request: &Request<'_>,
    answer: u16,
    take: &mut impl FnMut(u8, &[u8]) -> Result<(), Malformed>,
) -> Result<bool, Error> {
    if message.flags & flag::DUMP_INTR != 0 {
        return Err(Error::Interrupted { attempts: 1 });
    }
    let malformed = |source| request.malformed(source);
    match message.kind {
        kind::ERROR => match ack::answer(message).map_err(malformed)?.refusal {
            Some(refusal) => Err(refusal.of(request.object)),
            None => Ok(true),
        },
        kind::DONE => done(message, request).map(|()| true),
        _ if nf_tables(message) == Some(answer) => {
            message
                .body()
                .and_then(|(family, attributes)| take(family, attributes))
                .map_err(malformed)?;
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
        None => Err(request.malformed(Malformed("end of a dump"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;

    const REQUEST: Request<'_> = Request {
        object: "the rules",
        family: NFPROTO_INET,
        number: kind::GETRULE,
        flags: flag::DUMP,
        attributes: &[],
    };
    const NEWRULE: u16 = kind::SUBSYSTEM << 8 | kind::NEWRULE;

    /// What becomes of one message of an answer.
    fn outcome(kind: u16, flags: u16, payload: &[u8]) -> Result<bool, Error> {
        let message = Message { kind, flags, sequence: 1, portid: 0, payload };
        end(&message, &REQUEST, kind::NEWRULE, &mut |_, attributes| {
            decode::rule(attributes).map(drop)
        })
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
