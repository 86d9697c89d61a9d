//! The patterns of `namespaces`, with the place of what is wrong in them.

use regex_syntax::Parser;
use regex_syntax::ast::ErrorKind;

use super::diagnostic::Diagnostic;
use super::raw::Text;
use super::suggest::quote;
use crate::netns::ROOT;
use crate::select::Pattern;

const SYNTAX: &str = "the syntax is described at https://docs.rs/regex/latest/regex/#syntax";

/// One pattern of the list `key` (`namespaces`, or `-n` on the command line).
pub(super) fn pattern(key: &str, text: &Text) -> Result<Pattern, Diagnostic> {
    let value = &text.value;
    if value.is_empty() {
        let message = format!("`{key}` holds an empty pattern, which would match every namespace");
        return Err(Diagnostic::new(message, text.span.clone())
            .help("write \".*\" if every namespace is meant, else remove it"));
    }
    if means_root(value) {
        let message = format!("{} can match nothing: `{ROOT}` is no named namespace", quote(value));
        return Err(Diagnostic::new(message, text.span.clone())
            .help(format!("the root namespace is the plain word \"{ROOT}\"")));
    }
    if let Err(error) = Parser::new().parse(value) {
        return Err(syntax(key, text, &error));
    }
    Pattern::new(value).map_err(|error| {
        let reason = error.to_string().to_lowercase();
        let reason = reason.trim_end_matches('.');
        let message = format!("`{key}`: this regular expression cannot be used: {reason}");
        Diagnostic::new(message, text.span.clone()).help("use smaller repetition counts")
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
    let value = &text.value;
    let mut message = format!("`{key}`: {} is no regular expression: {reason}", quote(value));
    let place = match span {
        None => text.span.clone(),
        Some(span) => {
            if !text.is_verbatim() {
                message += &format!(" at character {}", span.start.column);
            }
            text.part(span.start.offset..span.end.offset)
        }
    };
    Diagnostic::new(message, place).help(remedy(error))
}

fn remedy(error: &regex_syntax::Error) -> &'static str {
    let regex_syntax::Error::Parse(error) = error else {
        return SYNTAX;
    };
    match error.kind() {
        ErrorKind::RepetitionMissing => "this is not a shell pattern: any text is `.*`",
        ErrorKind::UnsupportedLookAround => {
            "list the names that are wanted, not those that are not"
        }
        ErrorKind::ClassUnclosed | ErrorKind::GroupUnclosed | ErrorKind::GroupUnopened => {
            "close it, or put a backslash before the bracket to take it literally"
        }
        _ => SYNTAX,
    }
}
