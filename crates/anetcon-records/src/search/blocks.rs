//! A stream cut into blocks of whole lines, in memory of one size.

use std::io::{self, ErrorKind, Read};
use std::ops::ControlFlow;

use memchr::memrchr;

/// How much is read and searched at once. A line that does not fit is damaged: ours have about 1 KiB.
pub(crate) const BLOCK: usize = 1 << 20;

/// What is read into; one for each thread.
#[derive(Debug)]
pub(crate) struct Buffer(Vec<u8>);

/// A piece of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block<'a> {
    /// Whole lines, each with its newline.
    Lines(&'a [u8]),
    /// The end of the stream, without a newline: it is just being written, or was cut.
    Tail(&'a [u8]),
    /// This many bytes are part of a line that is too long to be one.
    TooLong(usize),
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self(vec![0; BLOCK])
    }

    /// Hands over the stream block by block, until it ends or `take` has enough.
    ///
    /// # Errors
    /// The stream's own; what came before it was handed over.
    pub(crate) fn each(
        &mut self,
        stream: &mut dyn Read,
        mut take: impl FnMut(Block<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let buffer = self.0.as_mut_slice();
        let (mut filled, mut skipping) = (0, false);
        loop {
            let (count, end) = fill(stream, buffer.get_mut(filled..).unwrap_or_default());
            filled += count;
            let bytes = buffer.get(..filled).unwrap_or_default();
            let lines = memrchr(b'\n', bytes).map_or(0, |last| last + 1);
            let (whole, rest) = bytes.split_at(lines);
            let mut flow = ControlFlow::Continue(());
            let mut start = 0;
            if skipping && lines > 0 {
                start = memchr::memchr(b'\n', whole).map_or(lines, |first| first + 1);
                skipping = false;
            }
            if start < lines {
                flow = take(Block::Lines(whole.get(start..).unwrap_or_default()));
            }
            if flow.is_break() {
                return Ok(());
            }
            if let Some(result) = end {
                if !rest.is_empty() && !skipping {
                    let _ = take(Block::Tail(rest));
                }
                return result;
            }
            let length = rest.len();
            if lines == 0 && length == buffer.len() {
                if !skipping && take(Block::TooLong(length)).is_break() {
                    return Ok(());
                }
                (filled, skipping) = (0, true);
            } else {
                buffer.copy_within(lines..filled, 0);
                filled = length;
            }
        }
    }
}

/// Reads until the space is full. At the end of the stream, or at an error, the result comes with it.
fn fill(stream: &mut dyn Read, space: &mut [u8]) -> (usize, Option<io::Result<()>>) {
    let mut filled = 0;
    while filled < space.len() {
        match stream.read(space.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => return (filled, Some(Ok(()))),
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(Err(error))),
        }
    }
    (filled, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(stream: &mut dyn Read, size: usize) -> (Vec<String>, io::Result<()>) {
        let mut got = Vec::new();
        let result = Buffer(vec![0; size]).each(stream, |block| {
            got.push(match block {
                Block::Lines(lines) => String::from_utf8_lossy(lines).into_owned(),
                Block::Tail(tail) => format!("tail {}", String::from_utf8_lossy(tail)),
                Block::TooLong(_) => "too long".to_owned(),
            });
            ControlFlow::Continue(())
        });
        (got, result)
    }

    #[test]
    fn every_line_comes_once_whatever_the_size() {
        let text = "one\ntwo\n\nthree\nfour";
        for size in 6..40 {
            let (got, result) = pieces(&mut text.as_bytes(), size);
            assert!(result.is_ok());
            assert_eq!(got.concat(), "one\ntwo\n\nthree\ntail four", "{size}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_told_once_and_passed_over() {
        let text = format!("a\n{}\nb\nc\n", "x".repeat(50));
        let (got, _) = pieces(&mut text.as_bytes(), 8);
        assert_eq!(got.concat(), "a\ntoo longb\nc\n");
    }

    #[test]
    fn what_comes_before_an_error_is_searched() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::UnexpectedEof.into())
            }
        }
        let (got, result) = pieces(&mut "a\nb\nha".as_bytes().chain(Broken), 8);
        assert_eq!(got.concat(), "a\nb\ntail ha");
        assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
