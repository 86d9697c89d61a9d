//! What is wrong with a configuration, and how it is shown to the person who wrote it.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use thiserror::Error;

use super::sources::{Source, Sources};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Everything that is wrong with one configuration, in the order of the text; never empty.
///
/// As text it is the messages alone; [`ConfigErrors::render`] shows the places and remedies too.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", messages(diagnostics))]
pub struct ConfigErrors {
    /// The errors.
    pub diagnostics: Vec<Diagnostic>,
}

impl ConfigErrors {
    /// All errors for a person to read: each with its file, line, column, caret and remedy.
    ///
    /// `text` is what was given to [`parse`](super::parse); with another text the places are wrong,
    /// but nothing panics. `color` adds ANSI escapes.
    pub fn render(&self, file_name: &str, text: &str, color: bool) -> String {
        self.render_all(&Sources::one(file_name, text.as_bytes()), color)
    }

    /// As [`render`](Self::render), with the texts that were given to [`parse_all`](super::parse_all).
    pub fn render_all(&self, sources: &Sources, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let shown = self.diagnostics.iter().map(|diagnostic| diagnostic.render(&renderer, sources));
        shown.collect::<Vec<_>>().join("\n\n")
    }
}

/// The messages alone, one per line.
fn messages(diagnostics: &[Diagnostic]) -> String {
    let messages: Vec<&str> = diagnostics.iter().map(|each| each.message.as_str()).collect();
    messages.join("\n")
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

impl Diagnostic {
    pub(crate) fn new(message: impl Into<String>, span: Option<Range<usize>>) -> Self {
        Self { message: message.into(), span, help: None }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    fn render(&self, renderer: &Renderer, sources: &Sources) -> String {
        let title = Level::ERROR.primary_title(self.message.as_str());
        let help = self.help.as_deref();
        let Some((Source { name, text, .. }, span)) =
            self.span.as_ref().and_then(|span| sources.place(span))
        else {
            let help = help.map(|help| Level::HELP.secondary_title(help));
            let lines = [title].into_iter().chain(help);
            let lines = lines.map(|line| renderer.render(&[Group::with_title(line)]));
            return lines.collect::<Vec<_>>().join("\n");
        };
        // Editors count no column for a byte order mark.
        let mark = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        let text = text.get(mark..).unwrap_or_default();
        let span = span.start.saturating_sub(mark)..span.end.saturating_sub(mark);
        let caret = AnnotationKind::Primary.span(within(&span, text));
        let place = Snippet::source(text).path(name).annotation(caret);
        renderer
            .render(&[title.element(place).elements(help.map(|help| Level::HELP.message(help)))])
    }
}

/// The span cut to the text and to whole characters: outside of them the renderer would panic.
fn within(span: &Range<usize>, text: &str) -> Range<usize> {
    let boundary =
        |at: usize| (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
    boundary(span.start)..boundary(span.end.max(span.start))
}

/// Collects errors while the checks go on.
#[derive(Debug, Default)]
pub(crate) struct Errors(Vec<Diagnostic>);

impl Errors {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// The value, or its error on the pile.
    pub(crate) fn keep<T>(&mut self, checked: Result<T, Diagnostic>) -> Option<T> {
        checked.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    /// The checked value of a key; its default if it is not there or wrong.
    pub(crate) fn value<R, T>(
        &mut self,
        key: &str,
        raw: &Option<R>,
        check: impl FnOnce(&str, &R) -> Result<T, Diagnostic>,
        default: T,
    ) -> T {
        raw.as_ref().and_then(|raw| self.keep(check(key, raw))).unwrap_or(default)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value if there was no error, else every error in the order of the text.
    pub(crate) fn or<T>(mut self, value: T) -> Result<T, ConfigErrors> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by_key(|diagnostic| diagnostic.span.as_ref().map(|span| span.start));
        Err(ConfigErrors { diagnostics: self.0 })
    }
}
