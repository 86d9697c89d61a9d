//! Text that is not TOML: which of the parser's complaints help, and what to do about each.

use std::ops::Range;

use toml::de::Error;

use super::diagnostic::{Diagnostic, Errors};

/// The beginnings of complaints about what was opened and never closed. All that the parser says
/// after the first complaint is then only a consequence.
const UNCLOSED: [&str; 2] = ["unclosed", "invalid"];

/// What to do, by the beginning of the parser's message.
const REMEDIES: [(&str, &str); 11] = [
    ("unclosed array", "a list ends with `]`, and commas stand between its entries"),
    ("missing comma", "commas stand between the entries of a list"),
    ("unclosed table", "a section is its name in [brackets]"),
    ("unclosed inline table", "what begins with `{` ends with `}`"),
    ("invalid basic string", "a string ends on its own line, with the `\"` it began with"),
    ("invalid literal string", "a string ends on its own line, with the `'` it began with"),
    ("missing escaped value", "a backslash stands for itself only in 'single quotes'"),
    (
        "string values must be quoted",
        "write text as \"text\", a list as [\"one\", \"two\"], a number without a unit",
    ),
    ("duplicate key", "remove one of them; a section stands only once, with all its keys below it"),
    ("unexpected leading zero", "write the number without zeros before it"),
    ("key with no value", "write it as key = value"),
];

/// Reports the first complaint about each line; only the first of all if something was left open.
pub(super) fn report(mut problems: Vec<Error>, file: &str, errors: &mut Errors) {
    // The parser complains about duplicates after all else.
    problems.sort_by_key(|problem| problem.span().map(|span| span.start));
    let open = problems
        .iter()
        .find(|problem| UNCLOSED.iter().any(|beginning| problem.message().starts_with(beginning)));
    let mut reported = None;
    for problem in &problems {
        let line = problem.span().map(|span| line_of(span, file));
        if line != reported {
            errors.push(diagnostic(problem, open.unwrap_or(problem), file));
        }
        if open.is_some() {
            break;
        }
        reported = line;
    }
}

/// The `cause` at the place of the complaint: where a list was left open is seen only by what follows it.
fn diagnostic(problem: &Error, cause: &Error, file: &str) -> Diagnostic {
    let span = problem.span();
    let message = match span.clone().and_then(|span| file.get(span)) {
        Some(source) if cause.message() == "duplicate key" => {
            format!("not valid TOML: `{}` stands here for the second time", source.escape_debug())
        }
        _ => format!("not valid TOML: {}", cause.message()),
    };
    let remedy = REMEDIES.iter().find(|(beginning, _)| cause.message().starts_with(beginning));
    let remedy = remedy.map_or("the format is described at https://toml.io", |(_, remedy)| remedy);
    Diagnostic::new(message, span).help(remedy)
}

fn line_of(span: Range<usize>, file: &str) -> usize {
    file.bytes().take(span.start).filter(|&byte| byte == b'\n').count()
}
