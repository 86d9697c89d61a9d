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

/// The attributes of one nest, taken out one by one: what is left over was not expected by the reader.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    left: Vec<Attribute<'a>>,
}

impl<'a> Fields<'a> {
    /// Reads the whole stream.
    ///
    /// # Errors
    /// An attribute in it has a length that cannot be.
    pub fn read(stream: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self { left: attributes(stream).collect::<Result<_, _>>()? })
    }

    /// Takes the first attribute of this kind. A second one of the same kind stays, and so counts as left over.
    pub fn take(&mut self, kind: u16) -> Option<&'a [u8]> {
        let at = self.left.iter().position(|attribute| attribute.kind == kind)?;
        Some(self.left.remove(at).data)
    }

    /// Takes a number in network byte order.
    pub fn take_u32(&mut self, kind: u16) -> Option<u32> {
        self.take(kind).and_then(array).map(u32::from_be_bytes)
    }

    /// Takes a 64-bit number in network byte order.
    pub fn take_u64(&mut self, kind: u16) -> Option<u64> {
        self.take(kind).and_then(array).map(u64::from_be_bytes)
    }

    /// Takes a name.
    pub fn take_text(&mut self, kind: u16) -> Option<String> {
        self.take(kind).map(text)
    }

    /// Drops attributes that say nothing about what the object does.
    pub fn ignore(&mut self, kinds: &[u16]) {
        self.left.retain(|attribute| !kinds.contains(&attribute.kind));
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// What nobody took.
    pub fn left(&self) -> &[Attribute<'a>] {
        &self.left
    }
}

/// A C string up to its NUL, or all of it where there is none.
pub fn text(data: &[u8]) -> String {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    String::from_utf8_lossy(data.get(..end).unwrap_or(data)).into_owned()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn numbers_have_exactly_their_length() {
        let attribute = |data| Attribute { kind: 1, data };
        assert_eq!(attribute(&[7]).u8(), Ok(7));
        assert_eq!(attribute(&[1, 2]).be16(), Ok(0x0102));
        assert_eq!(attribute(&[1, 2, 3, 4]).be32(), Ok(0x0102_0304));
        assert_eq!(attribute(&[0, 0, 0, 0, 0, 0, 1, 2]).be64(), Ok(0x0102));
        assert!(attribute(&[]).u8().is_err() && attribute(&[1, 2]).u8().is_err());
        assert!(attribute(&[1]).be16().is_err() && attribute(&[1; 4]).be64().is_err());
    }

    proptest! {
        // A failing case is printed; a test run leaves no file in the tree.
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_walked_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let found: Vec<_> = attributes(&bytes).collect();
            prop_assert!(found.len() <= bytes.len() / 4 + 1);
            let errors = found.iter().filter(|attribute| attribute.is_err()).count();
            prop_assert!(errors == 0 || errors == 1 && found.last().is_some_and(|last| last.is_err()));
        }

        #[test]
        fn what_is_written_is_read(
            written in proptest::collection::vec((0u16..0x3fff, proptest::collection::vec(any::<u8>(), 0..40)), 0..10),
        ) {
            let mut stream = Vec::new();
            for (kind, data) in &written {
                push(&mut stream, *kind, data).unwrap();
            }
            let read: Vec<(u16, Vec<u8>)> =
                attributes(&stream).map(|found| found.map(|a| (a.kind, a.data.to_vec())).unwrap()).collect();
            prop_assert_eq!(read, written);
        }
    }
}
