//! The bash file as a list of assignments, with the comments around them. Nothing is executed or expanded: what would
//! be is refused by its name and place.

use std::ops::Range;

use super::refused::{self, Refused};
use super::word::ends_word;
use crate::config::diagnostic::Errors;
use crate::config::raw::Text;

/// The file, as far as it is data.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) statements: Vec<Statement>,
    /// The comments below the last statement.
    pub(super) below: Vec<String>,
}

/// One assignment or declaration.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) name: String,
    pub(super) span: Range<usize>,
    pub(super) what: What,
    /// The comments above, each with its `#`; an empty text is an empty line.
    pub(super) above: Vec<String>,
    /// The comment on the same line.
    pub(super) beside: Option<String>,
}

/// What a statement does to its variable.
#[derive(Debug)]
pub(super) enum What {
    /// `declare -A NAME`.
    DeclareMap,
    /// `declare NAME`: nothing.
    Declare,
    /// `NAME=value` and `NAME+=value`.
    Text { value: Text, append: bool },
    /// `NAME=(...)` and `NAME+=(...)`.
    List { elements: Vec<Element>, span: Range<usize>, append: bool },
    /// `NAME[key]=value`.
    Entry { key: Text, value: Text, append: bool },
}

/// One element of a list.
#[derive(Debug)]
pub(super) struct Element {
    /// `[key]=`.
    pub(super) key: Option<Text>,
    pub(super) value: Text,
    /// The comments above and beside it, within the list.
    pub(super) above: Vec<String>,
}

/// Reads the file from its beginning.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    script: Script,
    /// The comments that wait for a statement.
    above: Vec<String>,
}

/// Splits the file. What was refused is among the errors, and is not in the script.
pub(super) fn lex(text: &str, errors: &mut Errors) -> Script {
    let mut lexer = Lexer { text, at: 0, script: Script::default(), above: Vec::new() };
    while lexer.peek().is_some() {
        if let Err(refused) = lexer.line() {
            errors.push(refused.diagnostic);
            // The lines of a here-document are no lines of the script.
            let document = lexer.rest().lines().next().is_some_and(|line| line.contains("<<"));
            if refused.to_the_end || document {
                break;
            }
            lexer.skip_line();
        }
    }
    Script { below: lexer.above, ..lexer.script }
}

impl<'t> Lexer<'t> {
    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn step(&mut self, c: char) {
        self.skip(c.len_utf8());
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Comments that no element of a list followed wait for the next statement.
    pub(super) fn keep_above(&mut self, comments: Vec<String>) {
        self.above.extend(comments);
    }

    fn skip_line(&mut self) {
        let length = self.rest().find('\n').unwrap_or(self.rest().len());
        self.skip(length);
    }

    pub(super) fn skip_blanks(&mut self) {
        loop {
            match self.rest() {
                rest if rest.starts_with([' ', '\t']) => self.skip(1),
                rest if rest.starts_with("\\\n") => self.skip(2),
                _ => return,
            }
        }
    }

    /// A line with all its statements; one that goes over several lines is one.
    fn line(&mut self) -> Result<(), Refused> {
        let before = self.script.statements.len();
        // Whether something stands before this place that no `;` has ended.
        let mut follows = false;
        loop {
            self.skip_blanks();
            let begun = self.script.statements.len() > before;
            match self.peek() {
                None => return Ok(()),
                Some('\n') => {
                    self.step('\n');
                    if !begun {
                        self.above.push(String::new());
                    }
                    return Ok(());
                }
                Some('#') => return self.comment_of_line(begun),
                Some(';') if follows && !self.rest().starts_with(";;") => {
                    self.step(';');
                    follows = false;
                }
                Some(_) => {
                    self.statement(follows)?;
                    follows = true;
                }
            }
        }
    }

    fn comment_of_line(&mut self, begun: bool) -> Result<(), Refused> {
        let comment = self.comment();
        if self.peek().is_some() {
            self.step('\n');
        }
        match self.script.statements.last_mut().filter(|_| begun) {
            Some(statement) => statement.beside = Some(comment),
            None => self.above.push(comment),
        }
        Ok(())
    }

    pub(super) fn comment(&mut self) -> String {
        let start = self.at;
        self.skip_line();
        self.text.get(start..self.at).unwrap_or_default().trim_end().to_owned()
    }

    /// An assignment before a declaration would hold for that alone, so there it is a command as all others.
    fn statement(&mut self, follows: bool) -> Result<(), Refused> {
        let start = self.at;
        let length = self.rest().find(ends_word).unwrap_or(self.rest().len());
        let word = self.rest().get(..length).unwrap_or_default();
        match word {
            "" => Err(refused::operator(self.rest(), start)
                .unwrap_or_else(|| refused::command(";", start..start + 1))),
            "declare" | "typeset" | "export" if !follows => {
                self.skip(length);
                self.declaration(word == "export")
            }
            _ => self.assignment(word),
        }
    }

    pub(super) fn push(&mut self, name: String, span: Range<usize>, what: What) {
        let above = std::mem::take(&mut self.above);
        self.script.statements.push(Statement { name, span, what, above, beside: None });
    }
}
