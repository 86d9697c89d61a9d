//! The shape of the file: which keys there are and what type each value has. What the values mean
//! is not looked at here; see `check`.
//!
//! The parsed tree is walked by hand because a serde derive stops at the first unknown key or wrong
//! type, and the operator should see all of them at once.

use std::ops::Range;

use toml::de::DeTable;

use super::diagnostic::Errors;
use super::section::Section;
use super::syntax;

/// The file as written: `None` is a key that is not there, or one whose value had a wrong type.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    pub namespaces: Option<Placed<Vec<Text>>>,
    pub namespace_directories: Option<Placed<Vec<Text>>>,
    pub period: Option<Placed<i128>>,
    pub debug: Option<Placed<bool>>,
    pub protocols: Option<Placed<Vec<Text>>>,
    pub networks_scope: Option<Text>,
    pub networks: Vec<(Text, Placed<Vec<Text>>)>,
    pub rules: RawRules,
    pub log: RawLog,
    pub state: RawState,
    pub control: RawControl,
    pub records: RawRecords,
    pub metrics: RawMetrics,
}

#[derive(Debug, Default)]
pub(crate) struct RawRules {
    pub table: Option<Text>,
    pub chain: Option<Text>,
    pub priority: Option<Placed<i128>>,
    pub protect: Option<Text>,
}

#[derive(Debug, Default)]
pub(crate) struct RawLog {
    pub prefix: Option<Text>,
    pub prefix_dnat: Option<Text>,
    pub prefix_other: Option<Text>,
    pub namespace: Option<Text>,
    pub level: Option<Text>,
    pub writer: Option<Text>,
    pub directory: Option<Text>,
}

#[derive(Debug, Default)]
pub(crate) struct RawState {
    pub directory: Option<Text>,
    pub hash_file: Option<Text>,
}

#[derive(Debug, Default)]
pub(crate) struct RawControl {
    pub socket: Option<Text>,
}

#[derive(Debug, Default)]
pub(crate) struct RawRecords {
    pub enabled: Option<Placed<bool>>,
    pub file: Option<Text>,
    pub buffer: Option<Placed<i128>>,
    pub end: Option<Placed<bool>>,
    pub destination: Option<Placed<bool>>,
}

#[derive(Debug, Default)]
pub(crate) struct RawMetrics {
    pub listen: Option<Text>,
    pub textfile: Option<Text>,
    pub namespaces: Option<Placed<bool>>,
}

/// A value and the bytes of the file that hold it; none if it came from the command line.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    pub value: T,
    pub span: Option<Range<usize>>,
}

/// A string value.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub value: String,
    /// With its quotes.
    pub span: Option<Range<usize>>,
    /// Where the value begins if the file holds it letter by letter, without escapes.
    verbatim: Option<usize>,
}

impl Text {
    /// A string of the command line.
    pub(crate) fn without_place(value: &str) -> Self {
        Self { value: value.to_owned(), span: None, verbatim: None }
    }

    /// `span` is where `file` holds `value`.
    pub(crate) fn placed(value: &str, span: Range<usize>, file: &str) -> Self {
        let source = file.get(span.clone()).unwrap_or_default();
        let verbatim = ["\"", "'", "\"\"\"", "'''", ""].iter().find_map(|quote| {
            let inner = source.strip_prefix(quote)?.strip_suffix(quote)?;
            (inner == value).then(|| span.start + quote.len())
        });
        Self { value: value.to_owned(), span: Some(span), verbatim }
    }

    /// A part of the value as a text of its own.
    pub(crate) fn piece(&self, part: Range<usize>) -> Self {
        let value = self.value.get(part.clone()).unwrap_or_default().to_owned();
        let verbatim = self.verbatim.map(|start| start + part.start);
        Self { value, span: self.part(part), verbatim }
    }

    /// Whether [`Text::part`] is exact.
    pub(crate) fn is_verbatim(&self) -> bool {
        self.verbatim.is_some()
    }

    /// The place of a part of the value, or of the whole if escapes stand in between.
    pub(crate) fn part(&self, part: Range<usize>) -> Option<Range<usize>> {
        match self.verbatim {
            Some(start) => Some(start + part.start..start + part.end),
            None => self.span.clone(),
        }
    }
}

/// Reads the file's shape. After a syntax error nothing else is looked at: what follows it may be
/// misread.
pub(crate) fn read(file: &str, errors: &mut Errors) -> Raw {
    let (document, problems) = DeTable::parse_recoverable(file);
    if !problems.is_empty() {
        syntax::report(problems, file, errors);
        return Raw::default();
    }
    top(Section::new("", document.into_inner(), file, errors))
}

fn top(mut section: Section<'_, '_>) -> Raw {
    let raw = Raw {
        namespaces: section.texts("namespaces"),
        namespace_directories: section.texts("namespace_directories"),
        period: section.integer("period"),
        debug: section.boolean("debug"),
        protocols: section.texts("protocols"),
        networks_scope: section.text("networks_scope"),
        networks: section.table("networks").map(Section::named_lists).unwrap_or_default(),
        rules: section.table("rules").map(rules).unwrap_or_default(),
        log: section.table("log").map(log).unwrap_or_default(),
        state: section.table("state").map(state).unwrap_or_default(),
        control: section.table("control").map(control).unwrap_or_default(),
        records: section.table("records").map(records).unwrap_or_default(),
        metrics: section.table("metrics").map(metrics).unwrap_or_default(),
    };
    section.finish();
    raw
}

fn rules(mut section: Section<'_, '_>) -> RawRules {
    let raw = RawRules {
        table: section.text("table"),
        chain: section.text("chain"),
        priority: section.integer("priority"),
        protect: section.text("protect"),
    };
    section.finish();
    raw
}

fn log(mut section: Section<'_, '_>) -> RawLog {
    let raw = RawLog {
        prefix: section.text("prefix"),
        prefix_dnat: section.text("prefix_dnat"),
        prefix_other: section.text("prefix_other"),
        namespace: section.text("namespace"),
        level: section.text("level"),
        writer: section.text("writer"),
        directory: section.text("directory"),
    };
    section.finish();
    raw
}

fn state(mut section: Section<'_, '_>) -> RawState {
    let raw =
        RawState { directory: section.text("directory"), hash_file: section.text("hash_file") };
    section.finish();
    raw
}

fn control(mut section: Section<'_, '_>) -> RawControl {
    let raw = RawControl { socket: section.text("socket") };
    section.finish();
    raw
}

fn records(mut section: Section<'_, '_>) -> RawRecords {
    let raw = RawRecords {
        enabled: section.boolean("enabled"),
        file: section.text("file"),
        buffer: section.integer("buffer"),
        end: section.boolean("end"),
        destination: section.boolean("destination"),
    };
    section.finish();
    raw
}

fn metrics(mut section: Section<'_, '_>) -> RawMetrics {
    let raw = RawMetrics {
        listen: section.text("listen"),
        textfile: section.text("textfile"),
        namespaces: section.boolean("namespaces"),
    };
    section.finish();
    raw
}
