//! What the kernel's answers to a batch mean. Pure: the answers come as messages, the verdict is a value.
//!
//! A batch is one transaction: a message that was acknowledged with 0 has still not happened when a later one was
//! refused. So one refusal refuses all, and an answer that is missing leaves the outcome unknown.

use std::collections::BTreeMap;

use anetcon_netlink::attribute::{Fields, text};
use anetcon_netlink::{Malformed, array};
use nix::errno::Errno;

use crate::error::Error;
use crate::message::{GENERIC, HEADER, Message, flag, kind};

/// `NLMSGERR_ATTR_MSG`.
const EXPLANATION: u16 = 1;
/// `NLMSGERR_ATTR_OFFS`.
const OFFSET: u16 = 2;

/// One answer: 0 or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The sequence number of the message that is answered.
    pub(crate) sequence: u32,
    /// `None`: accepted.
    pub(crate) refusal: Option<Refusal>,
}

/// Why the kernel refused a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    pub(crate) message: Option<String>,
    pub(crate) offset: Option<u32>,
}

impl Refusal {
    /// The error that names the refused object.
    pub(crate) fn of(self, object: impl Into<String>) -> Error {
        let Self { errno, message, offset } = self;
        Error::Refused { object: object.into(), errno, message, offset }
    }
}

/// The messages of a batch in their order, by sequence number, each with the words for its object.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    objects: BTreeMap<u32, String>,
    answered: BTreeMap<u32, Option<Refusal>>,
}

impl Expected {
    /// Awaits an answer.
    pub(crate) fn expect(&mut self, sequence: u32, object: impl Into<String>) {
        self.objects.insert(sequence, object.into());
    }

    /// Takes note of one message from the kernel. Only answers count; anything else is passed over.
    pub(crate) fn note(&mut self, message: &Message<'_>) -> Result<(), Malformed> {
        if message.kind == kind::ERROR {
            let Answer { sequence, refusal } = answer(message)?;
            // The first refusal of a message is the one that counts.
            let known = self.answered.entry(sequence).or_default();
            if known.is_none() {
                *known = refusal;
            }
        }
        Ok(())
    }

    /// The outcome of the whole batch.
    pub(crate) fn verdict(mut self) -> Result<(), Error> {
        let refused = self
            .answered
            .iter()
            .find_map(|(sequence, refusal)| refusal.clone().map(|refusal| (*sequence, refusal)));
        if let Some((sequence, refusal)) = refused {
            // A failure of the commit is answered with the number of the batch's begin, which before kernel 6.10 is 0.
            let object = self.objects.remove(&sequence).unwrap_or_else(|| "the batch".to_owned());
            return Err(refusal.of(object));
        }
        match self.objects.into_iter().find(|(sequence, _)| !self.answered.contains_key(sequence)) {
            Some((_, object)) => Err(Error::Unanswered { object }),
            None => Ok(()),
        }
    }
}

/// Decodes `NLMSG_ERROR`, which also carries the positive answers.
pub(crate) fn answer(message: &Message<'_>) -> Result<Answer, Malformed> {
    let code = message.payload.get(..4).and_then(array).map(i32::from_ne_bytes);
    let code = code.ok_or(Malformed("acknowledgement"))?;
    let sequence = message.sequence;
    if code == 0 {
        return Ok(Answer { sequence, refusal: None });
    }
    let mut fields = explanation(message)?;
    let errno = Errno::from_raw(code.checked_neg().unwrap_or(code));
    let offset = fields.take(OFFSET).and_then(array).map(u32::from_ne_bytes);
    let message = fields.take(EXPLANATION).map(text);
    Ok(Answer { sequence, refusal: Some(Refusal { errno, message, offset }) })
}

/// The attributes behind the echoed request, which is only its header when the kernel capped it.
fn explanation<'a>(message: &Message<'a>) -> Result<Fields<'a>, Malformed> {
    if message.flags & flag::ACK_TLVS == 0 {
        return Fields::read(&[]);
    }
    let request = message.payload.get(4..8).and_then(array).map(u32::from_ne_bytes);
    let request = request.ok_or(Malformed("acknowledgement"))? as usize;
    let echoed = if message.flags & flag::CAPPED != 0 { HEADER } else { request };
    let start = echoed.checked_next_multiple_of(4).and_then(|length| length.checked_add(GENERIC));
    let attributes = start.and_then(|start| message.payload.get(start..));
    Fields::read(attributes.ok_or(Malformed("acknowledgement"))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::split;

    /// An acknowledgement as the kernel sends it: header, code, the answered message's header, attributes.
    fn acknowledgement(sequence: u32, code: i32, attributes: &[u8]) -> Vec<u8> {
        let length = 16 + 4 + 16 + attributes.len();
        let flags = flag::CAPPED | if attributes.is_empty() { 0 } else { flag::ACK_TLVS };
        [
            &(length as u32).to_ne_bytes()[..],
            &kind::ERROR.to_ne_bytes(),
            &flags.to_ne_bytes(),
            &sequence.to_ne_bytes(),
            &7u32.to_ne_bytes(),       // our port
            &code.to_ne_bytes(),       // 0 or a negative errno
            &999u32.to_ne_bytes(), // the answered message: its length, of which nothing more is echoed
            &[0x06, 0x0a, 0x05, 0x0c], // NFT_MSG_NEWRULE, its flags
            &sequence.to_ne_bytes(),
            &0u32.to_ne_bytes(),
            attributes,
        ]
        .concat()
    }

    fn expected() -> Expected {
        let mut expected = Expected::default();
        for (sequence, object) in
            [(1, "the batch"), (2, "table `t`"), (3, "rule `r`"), (4, "the batch's end")]
        {
            expected.expect(sequence, object);
        }
        expected
    }

    fn verdict(datagrams: &[Vec<u8>]) -> Result<(), Error> {
        let mut expected = expected();
        for datagram in datagrams {
            for message in split(datagram).unwrap() {
                expected.note(&message).unwrap();
            }
        }
        expected.verdict()
    }

    #[test]
    fn all_accepted_is_success() {
        let all = (1..=4).map(|sequence| acknowledgement(sequence, 0, &[])).collect::<Vec<_>>();
        assert!(verdict(&all).is_ok());
        assert!(verdict(&[all.concat()]).is_ok());
    }

    #[test]
    fn one_refusal_voids_the_batch_and_is_named() {
        // NLMSGERR_ATTR_MSG (1) "no set", NLMSGERR_ATTR_OFFS (2) 44.
        let why = [11, 0, 1, 0, b'n', b'o', b' ', b's', b'e', b't', 0, 0, 8, 0, 2, 0, 44, 0, 0, 0];
        let answers =
            [acknowledgement(1, 0, &[]), acknowledgement(2, 0, &[]), acknowledgement(3, -2, &why)];
        match verdict(&answers).unwrap_err() {
            Error::Refused { object, errno, message, offset } => {
                assert_eq!((object.as_str(), errno), ("rule `r`", Errno::ENOENT));
                assert_eq!((message.as_deref(), offset), (Some("no set"), Some(44)));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_refusal_is_the_one_that_is_named() {
        let answers = [acknowledgement(3, -17, &[]), acknowledgement(2, -1, &[])];
        let error = verdict(&answers).unwrap_err();
        assert_eq!(error.to_string(), "the kernel refused table `t`");
    }

    #[test]
    fn a_missing_answer_is_not_success() {
        let answers: Vec<_> = [1, 2, 4].map(|sequence| acknowledgement(sequence, 0, &[])).into();
        let error = verdict(&answers).unwrap_err();
        assert!(
            matches!(&error, Error::Unanswered { object } if object == "rule `r`"),
            "{error:?}"
        );
        assert!(error.retry());
        assert!(matches!(verdict(&[]), Err(Error::Unanswered { .. })));
    }

    #[test]
    fn a_failed_commit_is_the_batch_s() {
        // Before kernel 6.10 the begin has no number of its own.
        let error = verdict(&[acknowledgement(0, -105, &[])]).unwrap_err();
        assert_eq!(error.to_string(), "the kernel refused the batch");
        assert!(error.retry());
    }

    #[test]
    fn odd_answers_are_malformed() {
        for length in [16, 18] {
            let mut cut = acknowledgement(1, -1, &[]);
            cut.truncate(length);
            let message = Message {
                kind: kind::ERROR,
                flags: 0,
                sequence: 1,
                portid: 0,
                payload: &cut[16..],
            };
            assert!(answer(&message).is_err(), "{length}");
        }
        let cut = acknowledgement(1, -1, &[9, 0, 1, 0]);
        assert!(answer(&split(&cut).unwrap()[0]).is_err());
    }
}
