//! Netlink attributes as bytes: reading a stream of them, and writing the few that requests need.
//!
//! Pure and bounds-checked: whatever the bytes, the answer is a value or [`Malformed`], never a panic.

use thiserror::Error;

/// Bytes that are no netlink message or attribute stream: cut short, or with a length that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

/// `NLA_TYPE_MASK`: the upper two bits say "nested" and "network byte order" and are not part of the kind.
const KIND_MASK: u16 = 0x3fff;
/// `NLA_F_NESTED`.
#[cfg(test)]
pub(crate) const NESTED: u16 = 0x8000;
/// `NLA_HDRLEN`: length and kind.
const HEADER: usize = 4;

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) data: &'a [u8],
}

/// Splits a stream of attributes.
pub(crate) fn attributes(stream: &[u8]) -> Attributes<'_> {
    Attributes { rest: stream }
}

/// Iterator of [`attributes`]; after an error it ends.
#[derive(Debug, Clone)]
pub(crate) struct Attributes<'a> {
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

/// The attributes of one nest, taken out one by one: what is left over was not expected by the reader.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    left: Vec<Attribute<'a>>,
}

impl<'a> Fields<'a> {
    /// Reads the whole stream.
    pub(crate) fn read(stream: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self { left: attributes(stream).collect::<Result<_, _>>()? })
    }

    /// Takes the first attribute of this kind. A second one of the same kind stays, and so counts as left over.
    pub(crate) fn take(&mut self, kind: u16) -> Option<&'a [u8]> {
        let at = self.left.iter().position(|attribute| attribute.kind == kind)?;
        Some(self.left.remove(at).data)
    }

    /// Takes a number in network byte order.
    pub(crate) fn take_u32(&mut self, kind: u16) -> Option<u32> {
        self.take(kind).and_then(array).map(u32::from_be_bytes)
    }

    /// Takes a 64-bit number in network byte order.
    pub(crate) fn take_u64(&mut self, kind: u16) -> Option<u64> {
        self.take(kind).and_then(array).map(u64::from_be_bytes)
    }

    /// Takes a name.
    pub(crate) fn take_text(&mut self, kind: u16) -> Option<String> {
        self.take(kind).map(text)
    }

    /// Takes a value nested as `NFTA_DATA_VALUE` (1), and nothing else beside it.
    pub(crate) fn take_value(&mut self, kind: u16) -> Option<Vec<u8>> {
        let mut nest = Self::read(self.take(kind)?).ok()?;
        let value = nest.take(1)?;
        nest.is_empty().then(|| value.to_vec())
    }

    /// Drops attributes that say nothing about what the object does.
    pub(crate) fn ignore(&mut self, kinds: &[u16]) {
        self.left.retain(|attribute| !kinds.contains(&attribute.kind));
    }

    /// Whether everything was taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// What nobody took.
    pub(crate) fn left(&self) -> &[Attribute<'a>] {
        &self.left
    }
}

/// A C string up to its NUL, or all of it where there is none.
pub(crate) fn text(data: &[u8]) -> String {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    String::from_utf8_lossy(data.get(..end).unwrap_or(data)).into_owned()
}

/// Exactly `N` bytes, or `None`.
pub(crate) fn array<const N: usize>(data: &[u8]) -> Option<[u8; N]> {
    data.try_into().ok()
}

/// Appends an attribute, padded. `None` where it is too long for its 16-bit length.
pub(crate) fn push(stream: &mut Vec<u8>, kind: u16, data: &[u8]) -> Option<()> {
    let length = u16::try_from(data.len().checked_add(HEADER)?).ok()?;
    stream.extend_from_slice(&length.to_ne_bytes());
    stream.extend_from_slice(&kind.to_ne_bytes());
    stream.extend_from_slice(data);
    stream.resize(stream.len().next_multiple_of(4), 0);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_split_at_padded_lengths() {
        let mut stream = Vec::new();
        push(&mut stream, 1, b"abc\0d").unwrap();
        push(&mut stream, 2 | NESTED, &[0, 0, 0, 7]).unwrap();
        let mut fields = Fields::read(&stream).unwrap();
        assert_eq!(fields.take_u32(2), Some(7));
        assert_eq!(fields.take_text(1).as_deref(), Some("abc"));
        assert!(fields.is_empty());
    }

    #[test]
    fn impossible_lengths_are_malformed() {
        for stream in [&[4u8, 0, 1][..], &[3, 0, 1, 0], &[0, 0, 0, 0], &[9, 0, 1, 0, 1, 2, 3, 4]] {
            assert_eq!(Fields::read(stream).unwrap_err(), Malformed("attribute"), "{stream:?}");
        }
    }

    #[test]
    fn a_second_attribute_of_a_kind_is_left_over() {
        let mut stream = Vec::new();
        push(&mut stream, 1, b"a").unwrap();
        push(&mut stream, 1, b"b").unwrap();
        let mut fields = Fields::read(&stream).unwrap();
        assert_eq!(fields.take(1), Some(&b"a"[..]));
        assert!(!fields.is_empty());
    }
}
