//! One table of the file: its keys are taken out by name and type, and what is left over is unknown.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Errors};
use super::raw::{Placed, Text};
use super::suggest;

/// Every key there is, by section; `""` is the top of the file.
pub(super) const KEYS: [(&str, &[&str]); 5] = [
    (
        "",
        &[
            "namespaces",
            "namespace_directories",
            "period",
            "debug",
            "protocols",
            "networks_scope",
            "networks",
            "rules",
            "log",
            "state",
            "control",
        ],
    ),
    ("rules", &["table", "chain", "priority"]),
    (
        "log",
        &["prefix", "prefix_dnat", "prefix_other", "namespace", "level", "writer", "directory"],
    ),
    ("state", &["directory", "hash_file"]),
    ("control", &["socket"]),
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

    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        let (span, value) = self.take(key)?;
        match value {
            DeValue::Boolean(value) => Some(value),
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
            let message = format!("{} is out of all bounds: {digits}", self.quoted(key));
            self.errors.push(Diagnostic::new(message, Some(span.clone())));
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
        for (key, _) in std::mem::take(&mut self.entries) {
            let message = format!("there is no key {}", self.quoted(key.get_ref()));
            let help = self.meant(key.get_ref());
            self.errors.push(Diagnostic::new(message, Some(key.span())).help(help));
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
        let diagnostic = Diagnostic::new(message, Some(span));
        self.errors.push(match wanted.remedy(found, source) {
            Some(written) => diagnostic.help(format!("write it as {written}")),
            None => diagnostic,
        });
        None
    }

    /// The key with its section, as messages name it.
    fn quoted(&self, key: &str) -> String {
        let key = key.escape_debug();
        if self.name.is_empty() { format!("`{key}`") } else { format!("`{}.{key}`", self.name) }
    }

    /// What an unknown key was meant to be: a key of another section, a near one, or any of this one.
    fn meant(&self, key: &str) -> String {
        let elsewhere = KEYS.iter().find(|(_, keys)| keys.contains(&key));
        let here = KEYS.iter().find(|(name, _)| *name == self.name).map(|(_, keys)| *keys);
        match (elsewhere, here) {
            (Some(("", _)), _) => format!("`{key}` must stand above the first [section]"),
            (Some((section, _)), _) => format!("`{key}` belongs in the section [{section}]"),
            (None, here) => suggest::one_of(key, here.unwrap_or_default()),
        }
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

    /// How the value would be written if only its quotes or brackets were wrong.
    fn remedy(self, found: &DeValue<'_>, source: &str) -> Option<String> {
        match (self, found) {
            (Self::Texts, DeValue::String(_)) => Some(format!("[{source}]")),
            (Self::Text | Self::Texts, DeValue::Integer(_) | DeValue::Boolean(_)) => {
                Some(format!("\"{source}\""))
            }
            (Self::Integer, DeValue::String(text)) => {
                text.parse::<i128>().ok().map(|n| n.to_string())
            }
            (Self::Boolean, DeValue::String(text)) => {
                text.parse::<bool>().ok().map(|b| b.to_string())
            }
            _ => None,
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
