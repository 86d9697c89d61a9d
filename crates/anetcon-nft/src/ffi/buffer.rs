//! A receive buffer that is aligned for netlink headers.

use std::slice;

/// Bytes that start at a multiple of 8, as netlink messages must to be split by mnl.
#[derive(Debug)]
pub(crate) struct Buffer {
    words: Vec<u64>,
}

impl Buffer {
    /// At least this many bytes, zeroed.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { words: vec![0; bytes.div_ceil(8)] }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        let length = self.words.len() * 8;
        // SAFETY: the vector holds `length` initialised bytes at this address, any byte is a valid u8, and the
        // borrow of self keeps them in place.
        unsafe { slice::from_raw_parts(self.words.as_ptr().cast(), length) }
    }

    /// The bytes, to be written to.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let length = self.words.len() * 8;
        // SAFETY: as in `bytes`; any bytes are a valid u64 too, and the borrow is exclusive.
        unsafe { slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), length) }
    }
}
