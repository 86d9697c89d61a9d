//! Netlink messages of the nf_tables subsystem: splitting what was received, building requests.
//!
//! Pure: sockets are in `netlink`, the meaning of the attributes in `decode`.

use anetcon_netlink::Malformed;
use anetcon_netlink::message::Request;
pub(crate) use anetcon_netlink::message::{GENERIC, HEADER, Message, flag};
use mnl::NlMessages;

/// The number of an nf_tables message (`NFT_MSG_*`); `None` for other subsystems and control messages.
pub(crate) fn nf_tables(message: &Message<'_>) -> Option<u16> {
    (message.kind >> 8 == kind::SUBSYSTEM).then_some(message.kind & 0xff)
}

/// Splits a datagram. The bytes must start aligned to 4, as [`Buffer`](crate::ffi::Buffer) does.
pub(crate) fn split(datagram: &[u8]) -> Result<Vec<Message<'_>>, Malformed> {
    // The kernel pads every message, so another length means a cut datagram; mnl's iterator relies on the padding.
    if !datagram.len().is_multiple_of(4) {
        return Err(Malformed("datagram"));
    }
    let mut messages = Vec::new();
    let mut used = 0;
    for bytes in NlMessages::new(datagram) {
        let bytes = bytes.map_err(|_| Malformed("message"))?;
        used += bytes.len().next_multiple_of(4);
        messages.push(Message::read(bytes).ok_or(Malformed("message"))?);
    }
    // The iterator leaves out a rest that is shorter than a header.
    if used == datagram.len() { Ok(messages) } else { Err(Malformed("datagram")) }
}

/// A request: family (0: all of them), message number, flags, and attributes. `None` where an attribute is too long.
pub(crate) fn request(
    family: u8,
    number: u16,
    flags: u16,
    sequence: u32,
    attributes: &[(u16, &[u8])],
) -> Option<Vec<u8>> {
    let kind = kind::SUBSYSTEM << 8 | number;
    Request { kind, family, flags, sequence }.with(attributes)
}

/// Message numbers: linux/netfilter/nf_tables.h.
pub(crate) mod kind {
    pub(crate) use anetcon_netlink::message::kind::{DONE, ERROR};

    /// `NFNL_SUBSYS_NFTABLES`.
    pub(crate) const SUBSYSTEM: u16 = 10;
    pub(crate) const NEWTABLE: u16 = 0;
    pub(crate) const GETTABLE: u16 = 1;
    pub(crate) const NEWCHAIN: u16 = 3;
    pub(crate) const GETCHAIN: u16 = 4;
    pub(crate) const DELCHAIN: u16 = 5;
    pub(crate) const NEWRULE: u16 = 6;
    pub(crate) const GETRULE: u16 = 7;
    pub(crate) const DELRULE: u16 = 8;
    pub(crate) const NEWSET: u16 = 9;
    pub(crate) const GETSET: u16 = 10;
    pub(crate) const NEWSETELEM: u16 = 12;
    pub(crate) const GETSETELEM: u16 = 13;
    pub(crate) const NEWGEN: u16 = 15;
    pub(crate) const GETGEN: u16 = 16;
}

#[cfg(test)]
mod tests {
    use anetcon_core::expr::kernel::NFPROTO_INET;

    use super::*;

    #[test]
    fn a_request_is_what_the_kernel_reads() {
        let bytes =
            request(NFPROTO_INET, kind::GETTABLE, flag::ACK, 7, &[(1, b"anetcon\0")]).unwrap();
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
        let messages = split(&bytes).unwrap();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages.first().and_then(nf_tables), Some(kind::GETTABLE));
    }

    /// mnl's iterator would reach for padding that is not there.
    #[test]
    fn a_datagram_without_padding_is_malformed() {
        let mut bytes = vec![0; 21];
        bytes[..4].copy_from_slice(&21u32.to_ne_bytes());
        assert_eq!(split(&bytes), Err(Malformed("datagram")));
    }

    #[test]
    fn a_cut_datagram_is_malformed() {
        let whole = request(NFPROTO_INET, kind::GETTABLE, 0, 1, &[(1, b"anetcon\0")]).unwrap();
        for length in 1..whole.len() {
            assert!(split(&whole[..length]).is_err(), "{length}");
        }
        assert!(split(&[whole.clone(), vec![0; 8]].concat()).is_err());
    }
}
