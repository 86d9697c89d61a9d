//! What a bash file can hold that is no plain value: how each is called, and what to write instead.

use std::ops::Range;

use crate::config::Diagnostic;
use crate::config::section::{SECTIONS, TOP};

/// Why reading stopped at a place.
#[derive(Debug)]
pub(super) struct Refused {
    /// What is wrong there.
    pub(super) diagnostic: Diagnostic,
    /// Whether the lines after this one belong to it, so that what they seem to say means nothing.
    pub(super) to_the_end: bool,
}

impl Refused {
    /// Something that ends with its line.
    pub(super) fn line(message: impl Into<String>, span: Range<usize>, help: &str) -> Self {
        let diagnostic = Diagnostic::new(message, Some(span)).help(help);
        Self { diagnostic, to_the_end: false }
    }

    /// Something that was opened here; where it ends cannot be told.
    pub(super) fn open(message: impl Into<String>, span: Range<usize>, help: &str) -> Self {
        Self { to_the_end: true, ..Self::line(message, span, help) }
    }

    /// What bash would replace by something else.
    pub(super) fn expansion(what: &str, span: Range<usize>, help: &str, to_the_end: bool) -> Self {
        let message = format!("{what} is not expanded: this file is read as data, never executed");
        Self { to_the_end, ..Self::line(message, span, help) }
    }
}

/// Why there is no exact translation of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inexact {
    /// The part of the pattern, in bytes.
    pub(super) at: usize,
    pub(super) length: usize,
    pub(super) what: String,
    pub(super) help: &'static str,
}

impl Inexact {
    pub(super) fn new(
        at: usize,
        length: usize,
        what: impl Into<String>,
        help: &'static str,
    ) -> Self {
        Self { at, length, what: what.into(), help }
    }
}

/// How far what a word begins reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Line,
    Block,
}

const RESULT: &str =
    "write the value itself; what must be computed belongs into a program that writes this file";
const ONLY: &str = "leave only assignments, such as PERIOD=30; commands belong into another file";
const MERGE: &str = "copy the assignments of that file into this one";

/// The words that begin something known, and what it is.
const WORDS: [(&str, &str, &str, Reach); 28] = [
    ("source", "reads another file", MERGE, Reach::Line),
    (".", "reads another file", MERGE, Reach::Line),
    ("eval", "runs text as commands", ONLY, Reach::Line),
    ("exec", "replaces the shell by a program", ONLY, Reach::Line),
    ("exit", "ends the script", ONLY, Reach::Line),
    ("return", "ends this file early", ONLY, Reach::Line),
    ("trap", "sets commands for later", ONLY, Reach::Line),
    ("alias", "gives a command a name", ONLY, Reach::Line),
    ("set", "sets options of the shell", ONLY, Reach::Line),
    ("shopt", "sets options of the shell", ONLY, Reach::Line),
    ("let", "is arithmetic", RESULT, Reach::Line),
    ("read", "reads a variable from elsewhere", RESULT, Reach::Line),
    ("mapfile", "reads a list from elsewhere", RESULT, Reach::Line),
    ("unset", "removes a variable", "remove the assignment instead", Reach::Line),
    ("readonly", "locks a variable", "write the assignment alone", Reach::Line),
    ("local", "belongs into a function", "write the assignment alone", Reach::Line),
    ("test", "is a condition", ONLY, Reach::Line),
    ("[", "is a condition", ONLY, Reach::Line),
    ("[[", "is a condition", ONLY, Reach::Line),
    ("if", "begins a condition", ONLY, Reach::Block),
    ("case", "begins a choice", ONLY, Reach::Block),
    ("for", "begins a loop", ONLY, Reach::Block),
    ("while", "begins a loop", ONLY, Reach::Block),
    ("until", "begins a loop", ONLY, Reach::Block),
    ("select", "begins a menu", ONLY, Reach::Block),
    ("function", "defines a function", ONLY, Reach::Block),
    ("{", "begins a group of commands", ONLY, Reach::Block),
    ("!", "turns the outcome of a command", ONLY, Reach::Line),
];

/// A command, by its first word.
pub(super) fn command(word: &str, span: Range<usize>) -> Refused {
    if is_toml(word) {
        let message = format!("`{}` is a word of TOML, not of the old format", word.escape_debug());
        let help =
            "give a TOML file a name that ends in .toml, and check it with `anetconctl check FILE`";
        return Refused::line(message, span, help);
    }
    let known = WORDS.iter().find(|(known, ..)| *known == word);
    let (what, help, reach) = known
        .map_or(("is a command", ONLY, Reach::Line), |(_, what, help, reach)| (what, help, *reach));
    let message =
        format!("`{}` {what}: this file is read as data, never executed", word.escape_debug());
    Refused { to_the_end: reach == Reach::Block, ..Refused::line(message, span, help) }
}

/// Whether somebody took a TOML file for an old one.
fn is_toml(word: &str) -> bool {
    let section = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
    let is_section = |name: &str| SECTIONS.iter().any(|(section, _)| *section == name);
    TOP.contains(&word) || section.is_some_and(is_section)
}

/// What stands between or behind commands. The longer ones come first.
const OPERATORS: [(&str, &str, Reach); 14] = [
    ("<<<", "passes text to a command", Reach::Line),
    ("<<", "begins a here-document", Reach::Block),
    ("<(", "is a process substitution", Reach::Line),
    (">(", "is a process substitution", Reach::Line),
    ("&&", "joins commands", Reach::Line),
    ("||", "joins commands", Reach::Line),
    (";;", "belongs into a `case`", Reach::Line),
    ("((", "is arithmetic", Reach::Line),
    (">", "redirects output", Reach::Line),
    ("<", "redirects input", Reach::Line),
    ("|", "is a pipe", Reach::Line),
    ("&", "runs a command in the background", Reach::Line),
    ("(", "begins a subshell", Reach::Block),
    (")", "closes what was not opened", Reach::Line),
];

/// The operator with which `rest` begins, at the place `at` of the file.
pub(super) fn operator(rest: &str, at: usize) -> Option<Refused> {
    let (text, what, reach) = OPERATORS.iter().find(|(text, ..)| rest.starts_with(text))?;
    let message = format!("`{text}` {what}: this file is read as data, never executed");
    let help = "leave only assignments; put a value that holds this character in 'single quotes'";
    let refused = Refused::line(message, at..at + text.len(), help);
    Some(Refused { to_the_end: *reach == Reach::Block, ..refused })
}

/// What a dollar sign begins, if it begins anything: the name of it and the end of its first part.
pub(super) fn dollar(rest: &str, in_quotes: bool) -> Option<(&'static str, &'static str)> {
    const LITERAL: &str = "for a dollar sign itself write the value in 'single quotes'";
    let follows = rest.get(1..)?;
    let special = |c: char| c.is_ascii_alphanumeric() || "_@*#?-$!".contains(c);
    match follows.chars().next()? {
        '(' if follows.starts_with("((") => Some(("an arithmetic expansion", RESULT)),
        '[' => Some(("an arithmetic expansion", RESULT)),
        '(' => Some(("a command substitution", RESULT)),
        '{' => Some(("a parameter expansion", RESULT)),
        '\'' if !in_quotes => Some(("a quote with escapes (`$'...'`)", "use plain quotes")),
        '"' if !in_quotes => Some(("a translated text (`$\"...\"`)", "use plain quotes")),
        c if special(c) => Some(("a variable", LITERAL)),
        // bash joins the lines first, and then sees what follows.
        '\\' if follows.starts_with("\\\n") => {
            Some(("a dollar sign at the end of a line", LITERAL))
        }
        _ => None,
    }
}
