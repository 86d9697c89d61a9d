//! Netfilter's netlink messages: splitting what was received, building requests.

use crate::{Malformed, array, attribute};

/// `NLMSG_HDRLEN`.
pub const HEADER: usize = 16;
/// `struct nfgenmsg`: family, version, resource id.
pub const GENERIC: usize = 4;

/// The parts of one received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`.
    pub sequence: u32,
    /// `nlmsg_pid`: the port of the socket whose request this answers or whose change this reports.
    pub portid: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The number of a message of this subsystem (`NFNL_SUBSYS_*`); `None` for others and control messages.
    pub fn of(&self, subsystem: u8) -> Option<u8> {
        let [of, number] = self.kind.to_be_bytes();
        (of == subsystem).then_some(number)
    }

    /// The family and the attributes of a netfilter message.
    ///
    /// # Errors
    /// The message is too short for its generic header.
    pub fn body(&self) -> Result<(u8, &'a [u8]), Malformed> {
        let family = self.payload.first().ok_or(Malformed("netfilter header"))?;
        let attributes = self.payload.get(GENERIC..).ok_or(Malformed("netfilter header"))?;
        Ok((*family, attributes))
    }
}

/// Splits a datagram as the kernel makes them: whole messages, each padded.
pub fn messages(datagram: &[u8]) -> Messages<'_> {
    Messages { rest: datagram }
}

/// Iterator of [`messages`]; after an error it ends.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let split = split_first(self.rest);
        self.rest = split.map_or(&[][..], |(_, rest)| rest);
        Some(split.map(|(message, _)| message).ok_or(Malformed("message")))
    }
}

fn split_first(datagram: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(array(datagram.get(..4)?)?)).ok()?;
    let message = Message {
        kind: u16::from_ne_bytes(array(datagram.get(4..6)?)?),
        flags: u16::from_ne_bytes(array(datagram.get(6..8)?)?),
        sequence: u32::from_ne_bytes(array(datagram.get(8..12)?)?),
        portid: u32::from_ne_bytes(array(datagram.get(12..HEADER)?)?),
        payload: datagram.get(HEADER..length)?,
    };
    // The kernel pads every message, so a missing padding means a cut datagram.
    let rest = datagram.get(length.checked_next_multiple_of(4)?..)?;
    Some((message, rest))
}

/// The head of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// `NFNL_SUBSYS_*`.
    pub subsystem: u8,
    /// The message's number in it.
    pub number: u8,
    /// `NFPROTO_*`, or 0 for all.
    pub family: u8,
    /// [`flag`], besides [`flag::REQUEST`].
    pub flags: u16,
    /// Comes back in every answer.
    pub sequence: u32,
}

impl Request {
    /// The whole request. `None` where an attribute is too long.
    pub fn with(&self, attributes: &[(u16, &[u8])]) -> Option<Vec<u8>> {
        let mut bytes = vec![0; HEADER];
        bytes.extend_from_slice(&[self.family, 0, 0, 0]);
        for (kind, data) in attributes {
            attribute::push(&mut bytes, *kind, data)?;
        }
        let length = u32::try_from(bytes.len()).ok()?.to_ne_bytes();
        let kind = u16::from_be_bytes([self.subsystem, self.number]).to_ne_bytes();
        let flags = (self.flags | flag::REQUEST).to_ne_bytes();
        let header = [&length[..], &kind, &flags, &self.sequence.to_ne_bytes(), &[0; 4]].concat();
        bytes.splice(..HEADER, header);
        Some(bytes)
    }
}

/// Control messages: linux/netlink.h.
pub mod kind {
    /// `NLMSG_ERROR`: an acknowledgement or a refusal.
    pub const ERROR: u16 = 2;
    /// `NLMSG_DONE`: the end of a dump.
    pub const DONE: u16 = 3;
}

/// Message flags: linux/netlink.h.
pub mod flag {
    /// `NLM_F_REQUEST`.
    pub const REQUEST: u16 = 0x1;
    /// `NLM_F_MULTI`: part of a dump.
    pub const MULTI: u16 = 0x2;
    /// `NLM_F_ACK`.
    pub const ACK: u16 = 0x4;
    /// `NLM_F_DUMP_INTR`. Of an answer: the dump was interrupted by a change and may be inconsistent.
    pub const DUMP_INTR: u16 = 0x10;
    /// `NLM_F_CAPPED`. Of an error: the request is not echoed behind the header.
    pub const CAPPED: u16 = 0x100;
    /// `NLM_F_ACK_TLVS`. Of an error: attributes follow (`NETLINK_EXT_ACK`).
    pub const ACK_TLVS: u16 = 0x200;
    /// `NLM_F_ROOT | NLM_F_MATCH`.
    pub const DUMP: u16 = 0x300;
}
