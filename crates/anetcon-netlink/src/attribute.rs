//! Streams of attributes: walked without a copy, taken out one by one, and written.

use crate::{Malformed, array};

/// `NLA_F_NESTED`.
pub const NESTED: u16 = 0x8000;
/// `NLA_TYPE_MASK`: the upper two bits say "nested" and "network byte order" and are not part of the kind.
const KIND_MASK: u16 = 0x3fff;
/// `NLA_HDRLEN`: length and kind.
const HEADER: usize = 4;

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its number, without the upper two bits.
    pub kind: u16,
    /// What it holds, without padding.
    pub data: &'a [u8],
}

impl Attribute<'_> {
    /// An 8-bit number.
    ///
    /// # Errors
    /// The attribute has another length; so below.
    pub fn u8(&self) -> Result<u8, Malformed> {
        self.bytes().map(u8::from_be_bytes)
    }

    /// A number in network byte order.
    pub fn be16(&self) -> Result<u16, Malformed> {
        self.bytes().map(u16::from_be_bytes)
    }

    /// A number in network byte order.
    pub fn be32(&self) -> Result<u32, Malformed> {
        self.bytes().map(u32::from_be_bytes)
    }

    /// A number in network byte order.
    pub fn be64(&self) -> Result<u64, Malformed> {
        self.bytes().map(u64::from_be_bytes)
    }

    /// Exactly `N` bytes.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        array(self.data).ok_or(Malformed("length of an attribute"))
    }
}

/// Splits a stream of attributes.
pub fn attributes(stream: &[u8]) -> Attributes<'_> {
    Attributes { rest: stream }
}

/// Iterator of [`attributes`]; after an error it ends.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let split = split_first(self.rest);
        self.rest = split.map_or(&[][..], |(_, rest)| rest);
        Some(split.map(|(attribute, _)| attribute).ok_or(Malformed("attribute")))
    }
}

fn split_first(stream: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let length = usize::from(u16::from_ne_bytes(array(stream.get(..2)?)?));
    let kind = u16::from_ne_bytes(array(stream.get(2..HEADER)?)?) & KIND_MASK;
    let data = stream.get(HEADER..length)?;
    // The padding of the last attribute may be missing.
    let rest = stream.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    Some((Attribute { kind, data }, rest))
}

/// Appends an attribute, padded. `None` where it is too long for its 16-bit length.
pub fn push(stream: &mut Vec<u8>, kind: u16, data: &[u8]) -> Option<()> {
    let length = u16::try_from(data.len().checked_add(HEADER)?).ok()?;
    stream.extend_from_slice(&length.to_ne_bytes());
    stream.extend_from_slice(&kind.to_ne_bytes());
    stream.extend_from_slice(data);
    stream.resize(stream.len().next_multiple_of(4), 0);
    Some(())
}
