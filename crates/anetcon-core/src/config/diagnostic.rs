//! What is wrong with a configuration, and how it is shown to the person who wrote it.

use std::fmt;
use std::ops::Range;

/// Everything that is wrong with one configuration, in the order of the text; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The errors.
    pub diagnostics: Vec<Diagnostic>,
}

/// One error of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong: one line without a full stop.
    pub message: String,
    /// The bytes of the text that it is about; `None` for a value of the command line.
    pub span: Option<Range<usize>>,
    /// What to do about it.
    pub help: Option<String>,
}

/// The messages alone, one per line; [`ConfigErrors::render`] shows the places too.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{}", diagnostic.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
