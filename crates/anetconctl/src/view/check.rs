//! What a check found.

use std::path::Path;

use anetcon_api::Schema;
use anetcon_config::Files;
use anetcon_core::config::{
    Config, ConfigErrors, Diagnostic, NetworksScope, Protocol, Sources, Writer,
};
use anetcon_core::netns::NetnsName;
use serde::Serialize;

use super::clean::word;
use super::columns::{Cell, aligned};
use super::config::with_drop_ins;
use super::style::{BAD, BOLD, GOOD, paint};

/// As many namespaces as are listed; `--json` lists all.
const SHOWN: usize = 20;

/// A good configuration and what it means here and now.
#[derive(Debug, Serialize)]
pub struct Good {
    schema: Schema,
    ok: bool,
    file: Option<String>,
    /// What is put over it, the weakest first.
    drop_ins: Vec<String>,
    /// How many namespaces there are, the root one included.
    existing: usize,
    /// Those of them that are selected.
    selected: Vec<String>,
    /// Those of the selected that cannot be audited.
    pub refused: Vec<Refused>,
}

/// A namespace that cannot be audited with this configuration.
#[derive(Debug, Serialize)]
pub struct Refused {
    /// Which one.
    pub namespace: String,
    /// Why.
    pub error: String,
}

impl Good {
    /// The document; `ok` if nothing is refused.
    pub fn new(
        files: &Files,
        existing: usize,
        selected: &[&NetnsName],
        refused: Vec<Refused>,
    ) -> Self {
        let selected = selected.iter().map(ToString::to_string).collect();
        Self {
            schema: Schema,
            ok: refused.is_empty(),
            file: files.main().map(name),
            drop_ins: files.drop_ins().iter().map(|file| name(file)).collect(),
            existing,
            selected,
            refused,
        }
    }
}

/// A bad configuration.
#[derive(Debug, Serialize)]
pub struct Bad {
    schema: Schema,
    ok: bool,
    errors: Vec<Mistake>,
}

/// One of its errors.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Mistake {
    message: String,
    /// The file; `None` if it is not about a place in one.
    file: Option<String>,
    /// Counted from 1, the column in characters; `None` if it is not about a place in the file.
    line: Option<usize>,
    column: Option<usize>,
    help: Option<String>,
}

impl Bad {
    /// The document.
    pub fn new(sources: &Sources, errors: &ConfigErrors) -> Self {
        let errors = errors.diagnostics.iter().map(|error| mistake(sources, error)).collect();
        Self { schema: Schema, ok: false, errors }
    }
}

fn name(file: &Path) -> String {
    file.display().to_string()
}

fn mistake(sources: &Sources, diagnostic: &Diagnostic) -> Mistake {
    let place = diagnostic.span.as_ref().and_then(|span| sources.place(span));
    let before = place.as_ref().and_then(|(source, span)| source.text.get(..span.start));
    let column = |before: &str| before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    Mistake {
        message: diagnostic.message.clone(),
        file: place.as_ref().map(|(source, _)| source.name.clone()),
        line: before.map(|before| before.matches('\n').count() + 1),
        column: before.map(column),
        help: diagnostic.help.clone(),
    }
}

/// A summary for people.
pub fn good(good: &Good, config: &Config) -> String {
    let file = good.file.as_deref().map_or("There is no file; the defaults".to_owned(), word);
    let verb = if good.file.is_some() { "is" } else { "are" };
    let over = with_drop_ins(good.drop_ins.len());
    let headline = paint(GOOD, format_args!("{file}{over} {verb} good"));
    format!("{headline}\n{}{}{}", facts(config), selected(good), refused(&good.refused))
}

fn facts(config: &Config) -> String {
    let patterns: Vec<&str> = config.selection.patterns.iter().map(|one| one.as_str()).collect();
    let protocols: Vec<&str> = config.protocols.iter().map(protocol).collect();
    let scope = match config.networks_scope {
        NetworksScope::Both => "both directions",
        NetworksScope::Outgoing => "outgoing connections only",
    };
    let networks = match config.networks.len() {
        0 => "no limit".to_owned(),
        count => format!("limited in {count} namespaces, {scope}"),
    };
    let writer = match config.log.writer {
        Writer::Rsyslog => "rsyslog",
        Writer::Agent => "the agent",
    };
    let rows = [
        ("Namespaces", word(&patterns.join(", "))),
        ("Protocols", protocols.join(", ")),
        ("Networks", networks),
        ("Table", format!("{}, priority {}", config.rules.table, config.rules.priority)),
        ("Log files", format!("{}, written by {writer}", config.log.directory.display())),
        ("Socket", config.control.socket.display().to_string()),
    ];
    let rows = rows.map(|(name, fact)| vec![Cell::new(name).style(BOLD), Cell::new(fact)]);
    aligned("  ", &rows)
}

fn protocol(protocol: &Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
        Protocol::Icmp => "icmp",
    }
}

fn selected(good: &Good) -> String {
    let (count, existing) = (good.selected.len(), good.existing);
    let names: String =
        good.selected.iter().take(SHOWN).map(|name| format!("  {}\n", word(name))).collect();
    let more = match count.saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("  and {more} more: see `--json`\n"),
    };
    let end = if count == 0 { "." } else { ":" };
    format!("{count} of {existing} namespaces are selected now{end}\n{names}{more}")
}

fn refused(refused: &[Refused]) -> String {
    let lines: String = refused
        .iter()
        .map(|refused| format!("  {}: {}\n", word(&refused.namespace), word(&refused.error)))
        .collect();
    if lines.is_empty() {
        return lines;
    }
    format!("{}\n{lines}", paint(BAD, "These cannot be audited with it:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(found: &Good) -> String {
        anstream::adapter::strip_str(&good(found, &Config::default())).to_string()
    }

    #[test]
    fn places_are_counted_from_one_in_characters() {
        let text = "a = 1\nü = \"é\" x\n";
        let at = |needle: &str| {
            let start = text.find(needle).unwrap();
            let span = Some(start..start + 1);
            let diagnostic = Diagnostic { message: String::new(), span, help: None };
            let found = mistake(&Sources::one("f", text.as_bytes()), &diagnostic);
            (found.line, found.column)
        };
        assert_eq!(at("a"), (Some(1), Some(1)));
        assert_eq!(at("ü"), (Some(2), Some(1)));
        assert_eq!(at("x"), (Some(2), Some(9)));
    }

    #[test]
    fn a_good_configuration_is_summed_up() {
        let names: Vec<NetnsName> = (1..=22)
            .map(|number| NetnsName::named(&format!("qrouter-{number}")).unwrap())
            .collect();
        let selected: Vec<&NetnsName> = names.iter().collect();
        let refused = vec![Refused { namespace: "qrouter-2".into(), error: "too long".into() }];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("anetcon.toml");
        std::fs::write(&file, "").unwrap();
        let files = Files::read(Some(&file)).unwrap();
        let good = Good {
            file: Some("/etc/anetcon/anetcon.toml".into()),
            ..Good::new(&files, 25, &selected, refused)
        };
        insta::assert_snapshot!("check", plain(&good));
        let good = Good { file: None, ..Good::new(&files, 1, &[], vec![]) };
        insta::assert_snapshot!("check_empty", plain(&good));
    }

    #[test]
    fn a_bad_configuration_is_told_as_json() {
        let text = "period = 0\n\n[log]\nprefx = \"x\"\n";
        let error = |message: &str, span, help: Option<&str>| Diagnostic {
            message: message.into(),
            span,
            help: help.map(str::to_owned),
        };
        let diagnostics = vec![
            error("too small", Some(9..10), None),
            error("no such key", Some(18..23), Some("did you mean `prefix`?")),
            error("of the command line", None, None),
        ];
        let errors = ConfigErrors { diagnostics };
        let bad = Bad::new(&Sources::one("bad.toml", text.as_bytes()), &errors);
        insta::assert_snapshot!("check_bad_json", serde_json::to_string_pretty(&bad).unwrap());
    }
}
