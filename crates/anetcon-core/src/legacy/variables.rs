//! What each variable holds when bash has read the file: the last assignment counts, `+=` appends.

use std::ops::Range;

use super::lex::{Element, Script, Statement, What};
use crate::config::Diagnostic;
use crate::config::diagnostic::Errors;
use crate::config::raw::Text;
use crate::config::suggest;

/// The variables that the script read from its file.
pub(super) const KNOWN: [&str; 10] = [
    "NAMESPACES",
    "NETS",
    "PERIOD",
    "DEBUG",
    "CHAIN_NAME",
    "LOG_PREFIX",
    "LOG_PREFIX_DNAT",
    "LOG_PREFIX_OTHER",
    "LOG_NAMESPACE_HASH",
    "NAMESPACE_HASH_FILE",
];

/// Whether the script knew the variable.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// What a variable holds.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Declared, and nothing assigned.
    Nothing,
    Text(Text),
    List(Vec<Item>),
    /// Key and value, in the order of the file.
    Map(Vec<(Text, Item)>),
}

/// An element of a list, and the comments above it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) text: Text,
    pub(super) above: Vec<String>,
}

/// A variable at the end of the file.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    /// The last place that names it.
    pub(super) span: Range<usize>,
    pub(super) value: Value,
    /// The place of the whole list.
    pub(super) list: Option<Range<usize>>,
    pub(super) above: Vec<String>,
    pub(super) beside: Option<String>,
    /// How often its whole value was set.
    pub(super) set: usize,
}

/// All variables, in the order in which the file first names them.
pub(super) fn assign(script: &Script, text: &str, errors: &mut Errors) -> Vec<Variable> {
    let mut variables: Vec<Variable> = Vec::new();
    for statement in &script.statements {
        let known = variables.iter().position(|known| known.name == statement.name);
        let mut variable = match known {
            Some(index) => variables.remove(index),
            None => fresh(statement),
        };
        if let Err(diagnostic) = variable.take(statement, text) {
            errors.push(diagnostic);
        }
        variable.comments(statement);
        variables.insert(known.unwrap_or(variables.len()), variable);
    }
    variables
}

fn fresh(statement: &Statement) -> Variable {
    Variable {
        name: statement.name.clone(),
        span: statement.span.clone(),
        value: Value::Nothing,
        list: None,
        above: Vec::new(),
        beside: None,
        set: 0,
    }
}

impl Variable {
    /// Comments of entries stay with the entries.
    fn comments(&mut self, statement: &Statement) {
        self.span = statement.span.clone();
        if !matches!(statement.what, What::Entry { .. }) {
            self.above.extend(statement.above.iter().cloned());
            // A second comment beside the variable goes above it.
            self.above.extend(self.beside.take());
            self.beside = statement.beside.clone();
        }
    }

    fn take(&mut self, statement: &Statement, text: &str) -> Result<(), Diagnostic> {
        self.not_to_default(statement)?;
        match &statement.what {
            What::Declare => (),
            What::DeclareMap => self.declare_map(&statement.span)?,
            What::Text { value, append } => self.text(value, *append, text)?,
            What::List { elements, span, append } => {
                self.list = Some(span.clone());
                self.elements(elements, *append, span)?;
            }
            What::Entry { key, value, append } => self.entry(statement, key, value, *append)?,
        }
        Ok(())
    }

    /// The script set its defaults before it read the file, so bash would append to those.
    fn not_to_default(&self, statement: &Statement) -> Result<(), Diagnostic> {
        let appends = matches!(
            statement.what,
            What::Text { append: true, .. } | What::List { append: true, .. }
        );
        let has_default = is_known(&self.name) && self.name != "NETS";
        if !(appends && has_default && matches!(self.value, Value::Nothing)) {
            return Ok(());
        }
        let message =
            format!("`{}` is appended to, but nothing is assigned to it above", self.name);
        let help =
            "bash would append to the script's default; write the whole value in one assignment";
        Err(Diagnostic::new(message, Some(statement.span.clone())).help(help))
    }

    fn declare_map(&mut self, span: &Range<usize>) -> Result<(), Diagnostic> {
        match self.value {
            Value::Nothing => self.value = Value::Map(Vec::new()),
            Value::Map(_) => (),
            _ => {
                let message = format!(
                    "`{}` has a value already, so it can no longer become a map",
                    self.name
                );
                let help = "put `declare -A` above the first assignment";
                return Err(Diagnostic::new(message, Some(span.clone())).help(help));
            }
        }
        Ok(())
    }

    fn text(&mut self, value: &Text, append: bool, file: &str) -> Result<(), Diagnostic> {
        self.value = match (&self.value, append) {
            (Value::Map(_) | Value::List(_), _) => {
                let message =
                    format!("`{}` is a list, so one value cannot be assigned to it", self.name);
                let help = "write a list in brackets, such as NAME+=( 'value' )";
                return Err(Diagnostic::new(message, value.span.clone()).help(help));
            }
            (Value::Text(before), true) => {
                let span = value.span.clone().unwrap_or_default();
                Value::Text(Text::placed(&format!("{}{}", before.value, value.value), span, file))
            }
            _ => Value::Text(value.clone()),
        };
        self.set += usize::from(!append);
        Ok(())
    }

    fn elements(
        &mut self,
        elements: &[Element],
        append: bool,
        span: &Range<usize>,
    ) -> Result<(), Diagnostic> {
        self.set += usize::from(!append);
        if let Value::Map(entries) = &mut self.value {
            if !append {
                entries.clear();
            }
            pairs(elements, span)?.into_iter().for_each(|(key, item)| put(entries, key, item));
            return Ok(());
        }
        let keyed = elements.iter().find_map(|element| element.key.as_ref());
        if let Some(key) = keyed {
            let message = format!(
                "`{}` was not declared as a map, so bash takes this key for a number",
                self.name
            );
            let help = format!("put `declare -A {}` above", self.name);
            return Err(Diagnostic::new(message, key.span.clone()).help(help));
        }
        let before = match std::mem::replace(&mut self.value, Value::Nothing) {
            Value::List(before) if append => before,
            Value::Text(text) if append => vec![Item { text, above: Vec::new() }],
            _ => Vec::new(),
        };
        let items = elements.iter().map(item);
        self.value = Value::List(before.into_iter().chain(items).collect());
        Ok(())
    }

    fn entry(
        &mut self,
        statement: &Statement,
        key: &Text,
        value: &Text,
        append: bool,
    ) -> Result<(), Diagnostic> {
        let name = &self.name;
        let Value::Map(entries) = &mut self.value else {
            let message =
                format!("`{name}` was not declared as a map, so bash takes this key for a number");
            let help =
                format!("put `declare -A {name}` above, or write all in one list `{name}=( ... )`");
            return Err(Diagnostic::new(message, key.span.clone()).help(help));
        };
        if append {
            let message = format!("an entry of `{name}` is appended to");
            return Err(Diagnostic::new(message, value.span.clone())
                .help("write the whole value in one assignment"));
        }
        let above = statement.above.iter().cloned().chain(statement.beside.clone()).collect();
        put(entries, key.clone(), Item { text: value.clone(), above });
        Ok(())
    }
}

fn item(element: &Element) -> Item {
    Item { text: element.value.clone(), above: element.above.clone() }
}

/// The entries of `declare -A NAME=(...)`: with keys, or as bash 5.1 takes it, key and value in turn.
fn pairs(elements: &[Element], span: &Range<usize>) -> Result<Vec<(Text, Item)>, Diagnostic> {
    let with_keys: Option<Vec<_>> =
        elements.iter().map(|element| Some((element.key.clone()?, item(element)))).collect();
    match with_keys {
        Some(entries) => Ok(entries),
        None if elements.iter().any(|element| element.key.is_some()) => {
            let help = "write every entry as [\"namespace\"]=\"networks\"";
            Err(Diagnostic::new(
                "some entries of this map have a key and some have none",
                Some(span.clone()),
            )
            .help(help))
        }
        None => in_turn(&elements.iter().map(item).collect::<Vec<_>>(), span),
    }
}

/// Keys and values that follow each other.
pub(super) fn in_turn(
    items: &[Item],
    span: &Range<usize>,
) -> Result<Vec<(Text, Item)>, Diagnostic> {
    let pairs = items.chunks(2).map(|pair| match pair {
        [key, value] => {
            let above = key.above.iter().chain(&value.above).cloned().collect();
            Ok((key.text.clone(), Item { text: value.text.clone(), above }))
        }
        [key, ..] => Err((key.text.span.clone(), key.text.value.clone())),
        [] => Err((Some(span.clone()), String::new())),
    });
    pairs.collect::<Result<_, _>>().map_err(|(span, name)| {
        let message = format!("no networks follow {}", suggest::quote(&name));
        Diagnostic::new(message, span)
            .help("a namespace and its networks stand in turn: NETS=( \"namespace\" \"10.0.0.0/8 10.1.0.0/16\" )")
    })
}

/// A later entry of the same key replaces the earlier one.
fn put(entries: &mut Vec<(Text, Item)>, key: Text, item: Item) {
    entries.retain(|(known, _)| known.value != key.value);
    entries.push((key, item));
}
