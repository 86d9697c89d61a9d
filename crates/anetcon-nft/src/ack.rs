//! What the kernel's answers to a batch mean. Pure: the answers come as messages, the verdict is a value.
//!
//! A batch is one transaction: a message that was acknowledged with 0 has still not happened when a later one was
//! refused. So one refusal refuses all, and an answer that is missing leaves the outcome unknown.

use std::collections::BTreeMap;

use nix::errno::Errno;

use crate::attribute::{Fields, Malformed, array, text};
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
