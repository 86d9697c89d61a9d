//! The patterns of `namespaces`, with the place of what is wrong in them.

use regex_syntax::Parser;
use regex_syntax::ast::Span;

use super::diagnostic::Diagnostic;
use super::raw::Text;
use crate::netns::ROOT;
use crate::select::Pattern;

/// One pattern of the list `key` (`namespaces`, or `-n` on the command line).
pub(super) fn pattern(key: &str, text: &Text) -> Result<Pattern, Diagnostic> {
    let value = &text.value;
    if value.is_empty() {
        let message = format!("`{key}` holds an empty pattern, which would match every namespace");
        return Err(Diagnostic::new(message, text.span.clone())
            .help("write \".*\" if every namespace is meant, else remove it"));
    }
    if means_root(value) {
        let message = format!("{value:?} can match nothing: `{ROOT}` is no named namespace");
        return Err(Diagnostic::new(message, text.span.clone())
            .help(format!("the root namespace is the plain word \"{ROOT}\"")));
    }
    if let Err(error) = Parser::new().parse(value) {
        return Err(syntax(key, text, &error));
    }
    Pattern::new(value).map_err(|error| {
        let message = format!("`{key}`: this regular expression cannot be used: {error}");
        Diagnostic::new(message, text.span.clone()).help("make it shorter")
    })
}

/// `^default$` and the like: somebody who takes the word for a regular expression.
fn means_root(pattern: &str) -> bool {
    pattern != ROOT && pattern.trim_start_matches('^').trim_end_matches('$') == ROOT
}

fn syntax(key: &str, text: &Text, error: &regex_syntax::Error) -> Diagnostic {
    let (reason, span) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), Some(error.span())),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), Some(error.span())),
        other => (other.to_string(), None),
    };
    let place = match span {
        Some(span) => text.part(bytes(span)),
        None => text.span.clone(),
    };
    let value = &text.value;
    Diagnostic::new(format!("`{key}`: {value:?} is no regular expression: {reason}"), place)
        .help(remedy(value))
}

fn bytes(span: &Span) -> std::ops::Range<usize> {
    span.start.offset..span.end.offset
}

/// A shell pattern is the usual reason.
fn remedy(pattern: &str) -> &'static str {
    if pattern.starts_with('*') {
        "this is not a shell pattern: any text is `.*`"
    } else {
        "a backslash before a character takes it literally; in TOML write such patterns in 'single quotes'"
    }
}
