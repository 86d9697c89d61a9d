//! Assignments and declarations: the statements that say something.

use super::lex::{Element, Lexer, What};
use super::refused::{self, Refused};
use super::word::{Place, ends_word};
use crate::config::raw::Text;

impl Lexer<'_> {
    /// `declare -A NETS`, and the forms that only repeat what an assignment does.
    pub(super) fn declaration(&mut self, export: bool) -> Result<(), Refused> {
        let (mut map, mut named, mut listed) = (false, false, false);
        loop {
            self.skip_blanks();
            let length = self.rest().find(ends_word).unwrap_or(self.rest().len());
            let word = self.rest().get(..length).unwrap_or_default();
            match word {
                _ if word.is_empty() || word.starts_with('#') => return Ok(()),
                "-A" if !named => map = true,
                "-a" | "-g" | "-x" if !named => (),
                _ if word.starts_with(['-', '+']) => return Err(option(word, self.at())),
                // bash sets a list before all else that the command declares, and exports none.
                _ if listed || self.is_list(word) && (export || named) => {
                    return Err(list_not_alone(word, self.at()));
                }
                _ => {
                    listed = self.is_list(word);
                    self.declared(word, map)?;
                    named = true;
                    continue;
                }
            }
            self.skip(length);
        }
    }

    /// Whether the assignment here is of a list or of one of its entries.
    fn is_list(&self, word: &str) -> bool {
        let behind = self.rest().get(name_of(word).len()..).unwrap_or_default();
        ["[", "=(", "+=("].iter().any(|list| behind.starts_with(list))
    }

    /// A name, or an assignment.
    fn declared(&mut self, word: &str, map: bool) -> Result<(), Refused> {
        let name = name_of(word);
        let span = self.at()..self.at() + name.len();
        if map {
            self.push(name.to_owned(), span.clone(), What::DeclareMap);
        }
        if name != word || name.is_empty() {
            return self.assignment(word);
        }
        if !map {
            self.push(name.to_owned(), span, What::Declare);
        }
        self.skip(word.len());
        Ok(())
    }

    /// `NAME=`, `NAME+=` or `NAME[key]=` and the value; anything else is a command.
    pub(super) fn assignment(&mut self, word: &str) -> Result<(), Refused> {
        let start = self.at();
        let command = || refused::command(word, start..start + word.len());
        let name = name_of(word);
        let behind = self.text().get(start + name.len()..).unwrap_or_default();
        if !name.is_empty() && behind.starts_with('(') {
            return Err(function(name, start));
        }
        let assigns = behind.starts_with(['=', '[']) || behind.starts_with("+=");
        if name.is_empty() || !assigns {
            return Err(command());
        }
        self.skip(name.len());
        let key = if behind.starts_with('[') { Some(self.subscript()?) } else { None };
        let append = self.rest().starts_with('+');
        self.skip(usize::from(append));
        if !self.rest().starts_with('=') {
            return Err(command());
        }
        self.step('=');
        let what = self.value(key, append)?;
        self.push(name.to_owned(), start..start + name.len(), what);
        match refused::operator(self.rest(), self.at()) {
            Some(refused) if !self.rest().starts_with(';') => Err(refused),
            _ => Ok(()),
        }
    }

    /// What stands behind the `=`.
    fn value(&mut self, key: Option<Text>, append: bool) -> Result<What, Refused> {
        match (key, self.rest().starts_with('(')) {
            (None, true) => self.list(append),
            (None, false) => Ok(What::Text { value: self.word(Place::Value)?, append }),
            (Some(key), false) => Ok(What::Entry { key, value: self.word(Place::Value)?, append }),
            (Some(_), true) => {
                let help = "an entry is one value in quotes";
                let span = self.at()..self.at() + 1;
                Err(Refused::open("a list cannot be an entry", span, help))
            }
        }
    }

    /// `[key]`, with or without quotes around the key.
    fn subscript(&mut self) -> Result<Text, Refused> {
        let start = self.at();
        self.step('[');
        let key = self.word(Place::Subscript)?;
        if self.peek() != Some(']') {
            let help = "write it as NETS[\"namespace\"]=\"networks\"";
            return Err(Refused::line("this key is not closed with `]`", start..self.at(), help));
        }
        self.step(']');
        Ok(key)
    }

    fn list(&mut self, append: bool) -> Result<What, Refused> {
        let start = self.at();
        self.step('(');
        let mut list = List::default();
        loop {
            self.skip_blanks();
            match self.peek() {
                None => {
                    let message = "the list that begins here is never closed";
                    return Err(Refused::open(
                        message,
                        start..start + 1,
                        "close the list with `)`",
                    ));
                }
                Some(')') => break,
                Some('\n') => {
                    self.step('\n');
                    list.on_this_line = false;
                }
                Some('#') => list.comment(self.comment()),
                Some(_) => {
                    let element = self.element(std::mem::take(&mut list.above));
                    // The lines below still belong to the list.
                    list.push(element.map_err(|refused| Refused { to_the_end: true, ..refused })?);
                }
            }
        }
        self.step(')');
        // bash joins the lines first, and takes all that touches the bracket for a part of the word.
        let behind = self.rest().trim_start_matches("\\\n");
        if behind.starts_with(|c| !ends_word(c)) {
            let help = "put a blank or a new line behind the bracket";
            let span = self.at() - 1..self.at();
            return Err(Refused::open("something touches the `)` of this list", span, help));
        }
        self.keep_above(list.above);
        Ok(What::List { elements: list.elements, span: start..self.at(), append })
    }

    fn element(&mut self, above: Vec<String>) -> Result<Element, Refused> {
        if let Some(refused) = refused::operator(self.rest(), self.at()) {
            return Err(refused);
        }
        if self.rest().starts_with(';') {
            let help = "blanks stand between the elements of a list";
            return Err(Refused::line(
                "`;` cannot stand in a list",
                self.at()..self.at() + 1,
                help,
            ));
        }
        let keyed = self.rest().starts_with('[')
            && self.rest().split(['\n', ' ']).next().is_some_and(|word| word.contains("]="));
        let key = if keyed { Some(self.subscript()?) } else { None };
        if keyed && self.rest().starts_with('=') {
            self.step('=');
        }
        let place = if keyed { Place::Value } else { Place::Element };
        Ok(Element { key, value: self.word(place)?, above })
    }
}

/// A list that is being read.
#[derive(Default)]
struct List {
    elements: Vec<Element>,
    /// The comments that wait for an element.
    above: Vec<String>,
    /// Whether the last element is on the same line.
    on_this_line: bool,
}

impl List {
    fn push(&mut self, element: Element) {
        self.elements.push(element);
        self.on_this_line = true;
    }

    fn comment(&mut self, comment: String) {
        let beside = self.elements.last_mut().filter(|_| self.on_this_line);
        beside.map_or(&mut self.above, |element| &mut element.above).push(comment);
    }
}

fn list_not_alone(word: &str, start: usize) -> Refused {
    let message = "a list is declared together with something else, or exported";
    let help = "write each assignment on a line of its own";
    Refused::open(message, start..start + word.len(), help)
}

fn option(word: &str, start: usize) -> Refused {
    let message = format!("the option `{}` changes how values are read", word.escape_debug());
    let help =
        "only -A, -a, -g and -x say nothing more than the values do, and stand before the names";
    Refused::line(message, start..start + word.len(), help)
}

/// The variable's name with which a word begins.
fn name_of(word: &str) -> &str {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = word.get(..word.find(|c| !fits(c)).unwrap_or(word.len())).unwrap_or_default();
    if name.starts_with(|c: char| c.is_ascii_digit()) { "" } else { name }
}

fn function(name: &str, start: usize) -> Refused {
    let message =
        format!("`{name}()` defines a function: this file is read as data, never executed");
    let help = "leave only assignments, such as PERIOD=30; commands belong into another file";
    Refused::open(message, start..start + name.len() + 1, help)
}
