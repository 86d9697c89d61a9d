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
    /// Reads one message with nothing behind it. `None` if it is shorter than its header.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            kind: u16::from_ne_bytes(array(bytes.get(4..6)?)?),
            flags: u16::from_ne_bytes(array(bytes.get(6..8)?)?),
            sequence: u32::from_ne_bytes(array(bytes.get(8..12)?)?),
            portid: u32::from_ne_bytes(array(bytes.get(12..HEADER)?)?),
            payload: bytes.get(HEADER..)?,
        })
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
    let message = Message::read(datagram.get(..length)?)?;
    // The kernel pads every message, so a missing padding means a cut datagram.
    let rest = datagram.get(length.checked_next_multiple_of(4)?..)?;
    Some((message, rest))
}

/// The head of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// `nlmsg_type`: the subsystem (`NFNL_SUBSYS_*`) in the upper byte, the message's number in it in the lower.
    pub kind: u16,
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
        let kind = self.kind.to_ne_bytes();
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIST_TABLES: Request = Request { kind: 0x0a01, family: 1, flags: flag::ACK, sequence: 7 };

    #[test]
    fn a_request_is_what_the_kernel_reads() {
        let bytes = LIST_TABLES.with(&[(1, b"anetcon\0")]).unwrap();
        let expected = [
            &32u32.to_ne_bytes()[..], // length: header 16, nfgenmsg 4, attribute 4 + 8
            &0x0a01u16.to_ne_bytes(), // subsystem 10, NFT_MSG_GETTABLE
            &0x0005u16.to_ne_bytes(), // REQUEST | ACK
            &7u32.to_ne_bytes(),      // sequence
            &[0; 4],                  // port: the kernel's
            &[1, 0, 0, 0],            // family inet, version 0, resource 0
            &12u16.to_ne_bytes(),     // attribute length
            &1u16.to_ne_bytes(),      // NFTA_TABLE_NAME
            b"anetcon\0",
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_datagram_is_split_into_its_messages() {
        let first = LIST_TABLES.with(&[(1, b"abc")]).unwrap();
        let second = Request { sequence: 8, ..LIST_TABLES }.with(&[]).unwrap();
        let datagram = [first, second].concat();
        let found: Vec<Message<'_>> = messages(&datagram).collect::<Result<_, _>>().unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!([found[0].sequence, found[1].sequence], [7, 8]);
        assert_eq!((found[0].kind, found[0].flags), (0x0a01, flag::REQUEST | flag::ACK));
        assert_eq!(found[0].body(), Ok((1, &[7, 0, 1, 0, b'a', b'b', b'c', 0][..])));
        assert_eq!(found[1].body(), Ok((1, &[][..])));
    }

    #[test]
    fn a_message_is_padded() {
        let odd = [&17u32.to_ne_bytes()[..], &[0; 12], b"a"].concat();
        let whole = LIST_TABLES.with(&[]).unwrap();
        let read = |padding: &[u8]| {
            let datagram = [&odd, padding, &whole].concat();
            messages(&datagram).map(|message| message.map(|m| m.kind)).collect::<Vec<_>>()
        };
        assert_eq!(read(&[0; 3]), [Ok(0), Ok(0x0a01)]);
        assert_eq!(messages(&odd).next(), Some(Err(Malformed("message"))), "without padding");
    }

    #[test]
    fn a_cut_datagram_is_malformed() {
        let whole = LIST_TABLES.with(&[(1, b"abc")]).unwrap();
        for length in 1..whole.len() {
            let read: Result<Vec<_>, _> = messages(&whole[..length]).collect();
            assert_eq!(read, Err(Malformed("message")), "{length}");
        }
        let read: Vec<_> = messages(&[whole, vec![0; 8]].concat()).map(|m| m.is_ok()).collect();
        assert_eq!(read, [true, false], "what came before stays");
    }

    #[test]
    fn an_attribute_that_is_too_long_makes_no_request() {
        assert!(LIST_TABLES.with(&[(1, &[0; 0xfffb])]).is_some());
        assert_eq!(LIST_TABLES.with(&[(1, &[0; 0xfffc])]), None);
    }
}
