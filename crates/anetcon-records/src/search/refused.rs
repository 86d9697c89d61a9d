//! An argument that is not understood, with the part that is wrong.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

/// What was written, which part of it is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Refused {
    /// The argument as it was given.
    pub text: String,
    /// The wrong part, in bytes, on character boundaries; empty at the end if something is missing.
    pub part: Range<usize>,
    /// Why, without the argument.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Refused {
    pub(crate) fn new(text: &str, part: Range<usize>, message: impl fmt::Display) -> Self {
        Self { text: text.to_owned(), part, message: message.to_string(), help: None }
    }

    /// All of it is wrong.
    pub fn whole(text: &str, message: impl fmt::Display) -> Self {
        Self::new(text, 0..text.len(), message)
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
