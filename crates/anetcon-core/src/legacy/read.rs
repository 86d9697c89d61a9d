//! What the variables of the script mean: the same in our keys, or an error, or a sentence about the difference.

use std::ops::Range;

use super::changes::Change;
use super::toml::Line;
use super::variables::{KNOWN, Value, Variable};
use crate::config::Diagnostic;
use crate::config::diagnostic::Errors;
use crate::config::raw::{Placed, Raw, Text};
use crate::config::suggest::{self, quote};
use crate::netns::ROOT;

/// What the script did where its file said nothing, and we do something else then.
const DEFAULT_PERIOD: i64 = 60;

/// How words count that are not what the script looked for.
const NO: [&str; 4] = ["0", "false", "no", "off"];
const YES: [&str; 4] = ["1", "true", "yes", "on"];

/// Units of sleep(1), which the script gave its period to, in seconds.
const UNITS: [(char, i128); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];

/// The file in our terms.
#[derive(Debug, Default)]
pub(super) struct Old {
    pub(super) raw: Raw,
    pub(super) lines: Vec<Line>,
    pub(super) changes: Vec<Change>,
    /// Comments of what was left out behind the last line.
    pub(super) left: Vec<String>,
}

/// Variables of the script that have no key here, and why.
const GONE: [(&str, &str); 2] = [
    (
        "LOGFILE",
        "the agent's own messages go to the journal, and with `anetcond -l FILE` to a file",
    ),
    ("CHAIN_TO_JOIN", "our chain has a place of its own at postrouting and joins no other"),
];

/// Reads all variables. What is wrong is among the errors.
pub(super) fn read(variables: &[Variable], text: &str, errors: &mut Errors) -> Old {
    let mut reader = Reader { text, errors, old: Old::default() };
    let mut left = Vec::new();
    for variable in variables {
        reader.twice(variable);
        let mut lines = reader.one(variable);
        left.extend(variable.above.iter().cloned());
        match lines.first_mut() {
            Some(first) => {
                first.above.splice(0..0, std::mem::take(&mut left));
                first.beside = variable.beside.clone();
            }
            None => left.extend(variable.beside.clone()),
        }
        reader.old.lines.extend(lines);
    }
    reader.defaults(variables);
    Old { left, ..reader.old }
}

/// What is read so far, and what is wrong.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) errors: &'a mut Errors,
    pub(super) old: Old,
}

impl Reader<'_> {
    pub(super) fn tell(&mut self, span: &Range<usize>, text: String) {
        self.old.changes.push(Change::at(span, self.text, text));
    }

    /// Reads one variable into lines of the new file.
    fn one(&mut self, variable: &Variable) -> Vec<Line> {
        match variable.name.as_str() {
            "NAMESPACES" => self.namespaces(variable),
            "NETS" => self.nets(variable),
            "PERIOD" => self.period(variable),
            "DEBUG" => self.debug(variable),
            "CHAIN_NAME" => self.chain_name(variable),
            "LOG_PREFIX" => self.text(variable, "log", "prefix"),
            "LOG_PREFIX_DNAT" => self.text(variable, "log", "prefix_dnat"),
            "LOG_PREFIX_OTHER" => self.text(variable, "log", "prefix_other"),
            "LOG_NAMESPACE_HASH" => self.namespace_hash(variable),
            "NAMESPACE_HASH_FILE" => self.text(variable, "state", "hash_file"),
            _ => self.unknown(variable),
        }
    }

    fn twice(&mut self, variable: &Variable) {
        if variable.set > 1 {
            let text =
                format!("{} is set {} times; this, the last, counts", variable.name, variable.set);
            self.tell(&variable.span, text);
        }
    }

    /// The one value of a variable; `None` if there is none.
    fn scalar(&mut self, variable: &Variable) -> Option<Text> {
        match &variable.value {
            Value::Text(text) => Some(text.clone()),
            Value::Nothing => None,
            Value::List(_) | Value::Map(_) => {
                let span = variable.list.clone().unwrap_or(variable.span.clone());
                let message = format!("`{}` is a list here, but it takes one value", variable.name);
                self.errors.push(
                    Diagnostic::new(message, Some(span)).help("write the value without brackets"),
                );
                None
            }
        }
    }

    fn text(&mut self, variable: &Variable, section: &'static str, key: &str) -> Vec<Line> {
        let Some(text) = self.scalar(variable) else { return Vec::new() };
        let line = Line::new(section, key, text.value.as_str());
        let raw = &mut self.old.raw;
        let target = match key {
            "prefix" => &mut raw.log.prefix,
            "prefix_dnat" => &mut raw.log.prefix_dnat,
            "prefix_other" => &mut raw.log.prefix_other,
            _ => &mut raw.state.hash_file,
        };
        *target = Some(text);
        vec![line]
    }

    fn chain_name(&mut self, variable: &Variable) -> Vec<Line> {
        let Some(text) = self.scalar(variable) else { return Vec::new() };
        let lines = ["table", "chain"].map(|key| Line::new("rules", key, text.value.as_str()));
        self.old.raw.rules.table = Some(text.clone());
        self.old.raw.rules.chain = Some(text);
        self.tell(&variable.span, "CHAIN_NAME names both our table and the chain in it".to_owned());
        lines.into()
    }

    /// The script took any text for yes.
    fn debug(&mut self, variable: &Variable) -> Vec<Line> {
        let Some(text) = self.scalar(variable) else { return Vec::new() };
        let on = !text.value.is_empty();
        if on && NO.contains(&text.value.to_lowercase().as_str()) {
            let value = quote(&text.value);
            self.tell(
                &variable.span,
                format!("DEBUG={value} turned debugging on, as any text did; it stays on"),
            );
        }
        self.old.raw.debug = Some(Placed { value: on, span: None });
        vec![Line::new("", "debug", on)]
    }

    /// The script took only `true` for yes.
    fn namespace_hash(&mut self, variable: &Variable) -> Vec<Line> {
        let Some(text) = self.scalar(variable) else { return Vec::new() };
        let hash = text.value == "true";
        if !hash && YES.contains(&text.value.to_lowercase().as_str()) {
            let value = quote(&text.value);
            let text = format!(
                "LOG_NAMESPACE_HASH={value} turned the hash off, as all but \"true\" did; it stays off"
            );
            self.tell(&variable.span, text);
        }
        let word = if hash { "hash" } else { "none" };
        self.old.raw.log.namespace = Some(Text::without_place(word));
        vec![Line::new("log", "namespace", word)]
    }

    fn period(&mut self, variable: &Variable) -> Vec<Line> {
        let Some(text) = self.scalar(variable) else { return Vec::new() };
        let Some(seconds) = seconds(&text.value) else {
            let message =
                format!("`PERIOD` must be a whole number of seconds, not {}", quote(&text.value));
            self.errors.push(Diagnostic::new(message, text.span).help("write it as PERIOD=30"));
            return Vec::new();
        };
        self.old.raw.period = Some(Placed { value: seconds, span: text.span });
        vec![Line::new("", "period", i64::try_from(seconds).unwrap_or(i64::MAX))]
    }

    fn unknown(&mut self, variable: &Variable) -> Vec<Line> {
        let name = &variable.name;
        if name == "ROUTERS" {
            let help = "write each router as a namespace: NAMESPACES=( '^qrouter-ID$' )";
            let message = "`ROUTERS` is of a very old version of the script".to_owned();
            self.errors.push(Diagnostic::new(message, Some(variable.span.clone())).help(help));
            return Vec::new();
        }
        let gone = GONE.iter().find(|(gone, _)| gone == name);
        let why = match (gone, suggest::nearest(name, &KNOWN)) {
            (Some((_, why)), _) => (*why).to_owned(),
            (None, Some(near)) => format!("the script knew no such variable; did you mean {near}?"),
            (None, None) => "the script knew no such variable".to_owned(),
        };
        self.tell(&variable.span, format!("{name} is left out: {why}"));
        Vec::new()
    }

    /// Where the script did something else than we do when its file says nothing.
    fn defaults(&mut self, variables: &[Variable]) {
        let is_set = |name: &str| {
            let of_name = |variable: &&Variable| variable.name == name;
            variables
                .iter()
                .find(of_name)
                .is_some_and(|found| !matches!(found.value, Value::Nothing))
        };
        if !is_set("PERIOD") {
            self.old.raw.period = Some(Placed { value: DEFAULT_PERIOD.into(), span: None });
            self.old.lines.insert(0, Line::new("", "period", DEFAULT_PERIOD));
            let text = format!(
                "PERIOD is not set: the script's default, {DEFAULT_PERIOD} seconds, is written down"
            );
            self.old.changes.push(Change { line: None, text });
        }
        if !is_set("NAMESPACES") {
            let root = Placed { value: vec![Text::without_place(ROOT)], span: None };
            self.old.raw.namespaces = Some(root);
            self.old
                .lines
                .insert(0, Line::list("", "namespaces", vec![(Vec::new(), ROOT.to_owned())]));
            let text = "NAMESPACES is not set: the script's default, the root namespace alone, is written down";
            self.old.changes.push(Change { line: None, text: text.to_owned() });
        }
    }
}

/// `30`, `030`, `30s`, `1m`.
fn seconds(value: &str) -> Option<i128> {
    let unit = UNITS.iter().find(|(unit, _)| value.ends_with(*unit));
    let (digits, factor) = match unit {
        Some((unit, factor)) => (value.strip_suffix(*unit)?, *factor),
        None => (value, 1),
    };
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.parse::<u64>().ok().filter(|_| whole)?;
    i128::from(seconds).checked_mul(factor)
}
