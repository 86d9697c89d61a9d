//! One table of the file: its keys are taken out by name and type, and what is left over is unknown.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Errors};
use super::raw::{Placed, Text};
use super::suggest;

/// The keys at the top of the file.
pub(crate) const TOP: &[&str] =
    &["namespaces", "namespace_directories", "period", "debug", "protocols", "networks_scope"];

/// The sections and their keys. Those of `networks` are names of namespaces.
pub(crate) const SECTIONS: [(&str, &[&str]); 7] = [
    ("networks", &[]),
    ("rules", &["table", "chain", "priority", "protect"]),
    (
        "log",
        &["prefix", "prefix_dnat", "prefix_other", "namespace", "level", "writer", "directory"],
    ),
    ("state", &["directory", "hash_file"]),
    ("control", &["socket"]),
    ("records", &["enabled", "file", "buffer", "end", "destination"]),
    ("metrics", &["listen", "textfile", "namespaces"]),
];

/// A table that is being read.
pub(super) struct Section<'f, 'e> {
    name: String,
    entries: DeTable<'f>,
    file: &'f str,
    errors: &'e mut Errors,
}

impl<'f, 'e> Section<'f, 'e> {
    pub(super) fn new(
        name: &str,
        entries: DeTable<'f>,
        file: &'f str,
        errors: &'e mut Errors,
    ) -> Self {
        Self { name: name.to_owned(), entries, file, errors }
    }

    pub(super) fn text(&mut self, key: &str) -> Option<Text> {
        let (span, value) = self.take(key)?;
        match value {
            DeValue::String(text) => Some(Text::placed(&text, span, self.file)),
            other => self.wrong_type(key, Shape::Text, &other, span),
        }
    }

    pub(super) fn boolean(&mut self, key: &str) -> Option<Placed<bool>> {
        let (span, value) = self.take(key)?;
        match value {
            DeValue::Boolean(value) => Some(Placed { value, span: Some(span) }),
            other => self.wrong_type(key, Shape::Boolean, &other, span),
        }
    }

    pub(super) fn integer(&mut self, key: &str) -> Option<Placed<i128>> {
        let (span, value) = self.take(key)?;
        let DeValue::Integer(digits) = &value else {
            return self.wrong_type(key, Shape::Integer, &value, span);
        };
        let value = i128::from_str_radix(digits.as_str(), digits.radix()).ok();
        if value.is_none() {
            let message = format!("{} is out of all bounds", self.quoted(key));
            let help = "no number here needs more than ten digits";
            self.errors.push(Diagnostic::new(message, Some(span.clone())).help(help));
        }
        value.map(|value| Placed { value, span: Some(span) })
    }

    pub(super) fn texts(&mut self, key: &str) -> Option<Placed<Vec<Text>>> {
        let (span, value) = self.take(key)?;
        self.list(key, value, span)
    }

    pub(super) fn table(&mut self, key: &str) -> Option<Section<'f, '_>> {
        let (span, value) = self.take(key)?;
        match value {
            DeValue::Table(entries) => Some(Section::new(key, entries, self.file, self.errors)),
            other => self.wrong_type(key, Shape::Table, &other, span),
        }
    }

    /// For a table whose keys are free: each with its list of strings.
    pub(super) fn named_lists(mut self) -> Vec<(Text, Placed<Vec<Text>>)> {
        let mut lists = Vec::new();
        for (key, value) in std::mem::take(&mut self.entries) {
            let name = Text::placed(key.get_ref(), key.span(), self.file);
            let span = value.span();
            if let Some(list) = self.list(&name.value, value.into_inner(), span) {
                lists.push((name, list));
            }
        }
        lists
    }

    /// Reports every key that nobody took.
    pub(super) fn finish(mut self) {
        for (key, value) in std::mem::take(&mut self.entries) {
            let (name, span) = (key.get_ref(), Some(key.span()));
            let diagnostic = if self.name.is_empty() && value.get_ref().is_table() {
                let sections = SECTIONS.map(|(section, _)| section);
                Diagnostic::new(format!("there is no section [{}]", name.escape_debug()), span)
                    .help(suggest::one_of(name, &sections))
            } else {
                Diagnostic::new(format!("there is no key {}", self.quoted(name)), span)
                    .help(meant(&self.name, name))
            };
            self.errors.push(diagnostic);
        }
    }

    fn take(&mut self, key: &str) -> Option<(Range<usize>, DeValue<'f>)> {
        let value = self.entries.remove(key)?;
        Some((value.span(), value.into_inner()))
    }

    fn list(
        &mut self,
        key: &str,
        value: DeValue<'f>,
        span: Range<usize>,
    ) -> Option<Placed<Vec<Text>>> {
        let DeValue::Array(items) = value else {
            return self.wrong_type(key, Shape::Texts, &value, span);
        };
        let before = self.errors.len();
        let value = items.into_iter().filter_map(|item| self.item(key, item)).collect();
        (self.errors.len() == before).then_some(Placed { value, span: Some(span) })
    }

    fn item(&mut self, key: &str, item: Spanned<DeValue<'f>>) -> Option<Text> {
        let span = item.span();
        match item.into_inner() {
            DeValue::String(text) => Some(Text::placed(&text, span, self.file)),
            other => self.wrong_type(key, Shape::Texts, &other, span),
        }
    }

    fn wrong_type<T>(
        &mut self,
        key: &str,
        wanted: Shape,
        found: &DeValue<'_>,
        span: Range<usize>,
    ) -> Option<T> {
        let message =
            format!("{} must be {}, not {}", self.quoted(key), wanted.name(), found_kind(found));
        let source = self.file.get(span.clone()).unwrap_or_default();
        self.errors.push(Diagnostic::new(message, Some(span)).help(wanted.remedy(found, source)));
        None
    }

    /// The key with its section, as messages name it.
    fn quoted(&self, key: &str) -> String {
        let key = key.escape_debug();
        if self.name.is_empty() { format!("`{key}`") } else { format!("`{}.{key}`", self.name) }
    }
}

/// What an unknown key was meant to be: a key like it, a key of another section, or any of this one.
fn meant(section: &str, key: &str) -> String {
    let here = SECTIONS.iter().find(|(name, _)| *name == section).map_or(TOP, |(_, keys)| keys);
    let elsewhere = SECTIONS.iter().find(|(_, keys)| keys.contains(&key));
    let moved = match elsewhere {
        Some((other, _)) => Some(format!("`{key}` is a key of the section [{other}]")),
        None if TOP.contains(&key) => Some(format!("`{key}` must stand above the first [section]")),
        None => None,
    };
    match (suggest::nearest(key, here), moved) {
        (Some(near), Some(moved)) => format!("did you mean `{near}`? {moved}"),
        (None, Some(moved)) => moved,
        (_, None) => suggest::one_of(key, here),
    }
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Text,
    Texts,
    Integer,
    Boolean,
    Table,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Texts => "a list of strings",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::Table => "a section",
        }
    }

    /// How the value is written rightly: itself if only its quotes or brackets are wrong.
    fn remedy(self, found: &DeValue<'_>, source: &str) -> String {
        match (self, found) {
            (Self::Texts, DeValue::String(_)) => format!("write it as [{source}]"),
            (Self::Integer, DeValue::String(text)) if text.parse::<i128>().is_ok() => {
                format!("write it without quotes: {text}")
            }
            (Self::Boolean, DeValue::String(text)) if text.parse::<bool>().is_ok() => {
                format!("write it without quotes: {text}")
            }
            (Self::Text, _) => "a string stands in quotes, such as \"text\"".into(),
            (Self::Texts, _) => "a list of strings is written [\"one\", \"two\"]".into(),
            (Self::Integer, _) => {
                "a whole number has no fraction, quotes or unit, such as 30".into()
            }
            (Self::Boolean, _) => "write true or false, without quotes".into(),
            (Self::Table, DeValue::Array(_)) => {
                "a section stands once, in single [brackets]".into()
            }
            (Self::Table, _) => {
                "a section is its name in [brackets], with its keys below it".into()
            }
        }
    }
}

fn found_kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
