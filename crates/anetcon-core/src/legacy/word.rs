//! One word of bash: quotes and backslashes taken away, and everything refused that bash would expand.

use super::lex::Lexer;
use super::refused::{self, Refused};
use crate::config::raw::Text;

const QUOTE_IT: &str = "put the value in 'single quotes'";

/// Where a word stands: bash expands more in a list than in a plain value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// After `NAME=`.
    Value,
    /// In the brackets of a list.
    Element,
    /// Between `[` and `]`.
    Subscript,
}

/// Whether a character ends a word that is not quoted.
pub(super) fn ends_word(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')')
}

impl Lexer<'_> {
    /// The word that begins here; empty where none does.
    pub(super) fn word(&mut self, place: Place) -> Result<Text, Refused> {
        let start = self.at();
        let mut value = String::new();
        while let Some(c) = self.peek() {
            let ends = ends_word(c) || (place == Place::Subscript && c == ']');
            if ends {
                break;
            }
            match c {
                '\'' => self.single_quotes(&mut value)?,
                '"' => self.double_quotes(&mut value)?,
                '\\' => self.escaped(&mut value),
                '$' | '`' => self.dollar(false, &mut value)?,
                _ => {
                    self.not_expanded(c, start, place)?;
                    value.push(c);
                    self.step(c);
                }
            }
        }
        Ok(Text::placed(&value, start..self.at(), self.text()))
    }

    fn single_quotes(&mut self, value: &mut String) -> Result<(), Refused> {
        let start = self.at();
        self.step('\'');
        let inner = self.rest().split_once('\'').map(|(inner, _)| inner.to_owned());
        let Some(inner) = inner else { return Err(unclosed("'", start)) };
        value.push_str(&inner);
        self.skip(inner.len() + 1);
        Ok(())
    }

    fn double_quotes(&mut self, value: &mut String) -> Result<(), Refused> {
        let start = self.at();
        self.step('"');
        loop {
            match self.peek() {
                None => return Err(unclosed("\"", start)),
                Some('"') => break,
                Some('\\') => self.escaped_in_quotes(value),
                Some('$' | '`') => self.dollar(true, value)?,
                Some(c) => {
                    value.push(c);
                    self.step(c);
                }
            }
        }
        self.step('"');
        Ok(())
    }

    /// A backslash takes the next character literally; before a newline both vanish.
    fn escaped(&mut self, value: &mut String) {
        self.step('\\');
        match self.peek() {
            None => value.push('\\'),
            Some('\n') => self.step('\n'),
            Some(c) => {
                value.push(c);
                self.step(c);
            }
        }
    }

    /// In double quotes a backslash stands for itself, except before these.
    fn escaped_in_quotes(&mut self, value: &mut String) {
        let follows = self.rest().chars().nth(1);
        if follows.is_some_and(|c| matches!(c, '$' | '`' | '"' | '\\' | '\n')) {
            return self.escaped(value);
        }
        value.push('\\');
        self.step('\\');
    }

    /// A dollar sign that begins nothing stands for itself; all else is refused.
    fn dollar(&mut self, in_quotes: bool, value: &mut String) -> Result<(), Refused> {
        const RESULT: &str = "write the value itself; for a backtick write it in 'single quotes'";
        let rest = self.rest();
        let found = match rest.starts_with('`') {
            true => Some(("a command substitution (backticks)", RESULT)),
            false => refused::dollar(rest, in_quotes),
        };
        let Some((what, help)) = found else {
            value.push('$');
            self.step('$');
            return Ok(());
        };
        let line = rest.lines().next().unwrap_or_default();
        let length = reach(line);
        let span = self.at()..self.at() + length.unwrap_or(line.len());
        // What is not closed on its line goes on below.
        Err(Refused::expansion(what, span, help, length.is_none()))
    }

    /// Refuses an unquoted character that bash would expand.
    fn not_expanded(&self, c: char, start: usize, place: Place) -> Result<(), Refused> {
        // bash joins the lines before it looks for what to expand.
        let before = self.text().get(start..self.at()).unwrap_or_default().replace("\\\n", "");
        let begins = before.is_empty() || before.ends_with(':');
        let what = match c {
            '~' if begins => "a home folder (`~`)",
            '*' | '?' | '[' if place == Place::Element => "a file name pattern",
            '{' if place == Place::Element => "a brace expansion",
            _ => return Ok(()),
        };
        let span = self.at()..self.at() + c.len_utf8();
        Err(Refused::expansion(what, span, QUOTE_IT, false))
    }
}

/// The bytes of the expansion with which a line begins; `None` if it is not closed on this line.
fn reach(line: &str) -> Option<usize> {
    let closed_by = |close: &str| Some(line.get(2..)?.find(close)? + 2 + close.len());
    let mut characters = line.chars();
    match (characters.next(), characters.next()) {
        (Some('`'), _) => Some(line.get(1..)?.find('`')? + 2),
        // The next line belongs to it.
        (_, Some('\\')) => None,
        (_, Some('(')) if line.starts_with("$((") => closed_by("))"),
        (_, Some('(')) => closed_by(")"),
        (_, Some('{')) => closed_by("}"),
        (_, Some('[')) => closed_by("]"),
        (_, Some('\'')) => closed_by("'"),
        (_, Some('"')) => closed_by("\""),
        _ => {
            let name = line.get(1..)?.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            Some(name.map_or(line.len(), |length| length.max(1) + 1))
        }
    }
}

fn unclosed(quote: &str, start: usize) -> Refused {
    let message = format!("the quote that begins here with {quote} is never closed");
    Refused::open(message, start..start + quote.len(), "close it on its own line")
}
