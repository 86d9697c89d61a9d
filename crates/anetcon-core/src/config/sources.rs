//! The texts that make one configuration: the main file and its drop-ins, the weakest first.
//!
//! Places count through all texts, one after the other, so that a value keeps its place when texts are merged.

use std::ops::Range;

use super::diagnostic::{Diagnostic, Errors};
use super::raw::{self, Raw};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Texts with their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources(Vec<Source>);

/// One text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What to call it: its file.
    pub name: String,
    /// The text; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// Where its places begin.
    start: usize,
    /// The first byte that is no UTF-8.
    damaged: Option<usize>,
}

impl Sources {
    /// One text alone.
    pub fn one(name: impl Into<String>, bytes: &[u8]) -> Self {
        let mut sources = Self::default();
        sources.push(name, bytes);
        sources
    }

    /// A text whose values are stronger than those before it.
    pub fn push(&mut self, name: impl Into<String>, bytes: &[u8]) {
        let start = self.0.last().map_or(0, |last| last.start + last.text.len() + 1);
        let damaged = std::str::from_utf8(bytes).err().map(|error| error.valid_up_to());
        let text = String::from_utf8_lossy(bytes);
        // The parser knows the mark at the beginning only, and here the beginning is elsewhere.
        let text = if start > 0 { text.trim_start_matches(BYTE_ORDER_MARK) } else { &text };
        self.0.push(Source { name: name.into(), text: text.to_owned(), start, damaged });
    }

    /// The text that holds a place, and the place in it alone.
    pub fn place(&self, span: &Range<usize>) -> Option<(&Source, Range<usize>)> {
        let source = self.0.iter().rev().find(|source| source.start <= span.start)?;
        Some((source, span.start - source.start..span.end.saturating_sub(source.start)))
    }

    /// Everything that the texts say, the stronger over the weaker.
    pub(super) fn read(&self, errors: &mut Errors) -> Raw {
        self.0.iter().fold(Raw::default(), |weaker, source| source.read(errors).over(weaker))
    }
}

impl Source {
    /// The line that a place in this text is in, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
    }

    fn read(&self, errors: &mut Errors) -> Raw {
        if let Some(at) = self.damaged {
            errors.push(no_text(self.start + at));
            return Raw::default();
        }
        // Blank lines stand for the texts before it.
        raw::read(&("\n".repeat(self.start) + &self.text), errors)
    }
}

/// A byte that is no UTF-8, at this place in the text in which it was replaced.
pub(crate) fn no_text(at: usize) -> Diagnostic {
    let span = Some(at..at + char::REPLACEMENT_CHARACTER.len_utf8());
    Diagnostic::new("this byte is no UTF-8 text", span)
        .help("save the file as UTF-8, for example with `iconv -f latin1 -t utf8`")
}
