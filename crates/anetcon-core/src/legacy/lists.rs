//! The two lists of the script: the namespaces with their patterns, and the networks of some of them.

use std::net::Ipv4Addr;

use ipnet::ip_mask_to_prefix;

use super::read::Reader;
use super::regex;
use super::toml::Line;
use super::variables::{Item, Value, Variable, in_turn};
use crate::config::Diagnostic;
use crate::config::raw::{Placed, Text};
use crate::config::suggest::quote;
use crate::netns::ROOT;

impl Reader<'_> {
    pub(super) fn namespaces(&mut self, variable: &Variable) -> Vec<Line> {
        let items = match &variable.value {
            Value::Nothing => return Vec::new(),
            Value::Text(text) => vec![Item { text: text.clone(), above: Vec::new() }],
            Value::List(items) => items.clone(),
            Value::Map(entries) => entries.iter().map(|(_, item)| item.clone()).collect(),
        };
        let is_empty = items.is_empty();
        let (mut texts, mut written): (Vec<Text>, Vec<(Vec<String>, String)>) =
            (Vec::new(), Vec::new());
        for item in items {
            let Some(text) = self.pattern(&item.text) else { continue };
            if texts.iter().any(|known| known.value == text.value) {
                let span = item.text.span.clone().unwrap_or_default();
                self.tell(
                    &span,
                    format!("{} is listed twice; once is enough", quote(&item.text.value)),
                );
                continue;
            }
            written.push((item.above, text.value.clone()));
            texts.push(text);
        }
        if texts.is_empty() && !is_empty {
            return Vec::new();
        }
        let span = variable.list.clone().unwrap_or(variable.span.clone());
        self.old.raw.namespaces = Some(Placed { value: texts, span: Some(span) });
        vec![Line::list("", "namespaces", written)]
    }

    /// A pattern of grep in our syntax.
    fn pattern(&mut self, text: &Text) -> Option<Text> {
        if text.value == ROOT {
            return Some(text.clone());
        }
        let span = text.span.clone().unwrap_or_default();
        match regex::translate(&text.value) {
            Ok(translated) if translated == text.value => Some(text.clone()),
            Ok(translated) => {
                let (old, new) = (quote(&text.value), quote(&translated));
                self.tell(
                    &span,
                    format!(
                        "the pattern {old} of grep is {new} in our syntax, and selects the same"
                    ),
                );
                Some(Text::placed(&translated, span, self.text))
            }
            Err(refused) => {
                let place = text.part(refused.at..refused.at + refused.length);
                let message = format!("`NAMESPACES`: {}: {}", quote(&text.value), refused.what);
                self.errors.push(Diagnostic::new(message, place).help(refused.help));
                None
            }
        }
    }

    pub(super) fn nets(&mut self, variable: &Variable) -> Vec<Line> {
        let span = variable.list.clone().unwrap_or(variable.span.clone());
        let entries = match &variable.value {
            Value::Nothing => return Vec::new(),
            Value::Text(text) if text.value.is_empty() => return Vec::new(),
            Value::Text(text) => in_turn(&[Item { text: text.clone(), above: Vec::new() }], &span),
            Value::List(items) => in_turn(items, &span),
            Value::Map(entries) => {
                let what = "NETS is a map, whose names the script never looked at, so it audited everything; here its networks count";
                self.tell(&variable.span, what.to_owned());
                Ok(entries.clone())
            }
        };
        let entries = self.errors.keep(entries).unwrap_or_default();
        let mut lines: Vec<Line> =
            entries.iter().filter_map(|(name, item)| self.networks(name, item)).collect();
        if !lines.is_empty() {
            let what = "NETS limits outgoing connections alone, as in the script: networks_scope = \"outgoing\"";
            self.tell(&variable.span, what.to_owned());
            let scope = Text::without_place("outgoing");
            self.old.raw.networks_scope = Some(scope);
            lines.push(Line::new("", "networks_scope", "outgoing"));
        }
        lines
    }

    /// The networks of one namespace. The first entry of a name counts.
    fn networks(&mut self, name: &Text, item: &Item) -> Option<Line> {
        let span = name.span.clone().unwrap_or_default();
        if self.old.raw.networks.iter().any(|(known, _)| known.value == name.value) {
            self.tell(&span, format!("NETS names {} twice; the first counts", quote(&name.value)));
            return None;
        }
        let list: Vec<Text> = pieces(&item.text).map(|piece| self.network(piece)).collect();
        if list.is_empty() {
            let what =
                format!("NETS gives {} no networks, so all of it is audited", quote(&name.value));
            self.tell(&span, what);
            return None;
        }
        let written = list.iter().map(|network| (Vec::new(), network.value.clone())).collect();
        let line =
            Line { above: item.above.clone(), ..Line::list("networks", &name.value, written) };
        let list = Placed { value: list, span: item.text.span.clone() };
        self.old.raw.networks.push((name.clone(), list));
        Some(line)
    }

    /// iptables takes a netmask as well as a length.
    fn network(&self, piece: Text) -> Text {
        let length = piece.value.split_once('/').and_then(|(address, mask)| {
            let length = ip_mask_to_prefix(mask.parse::<Ipv4Addr>().ok()?.into()).ok()?;
            Some(format!("{address}/{length}"))
        });
        match (length, piece.span.clone()) {
            (Some(value), Some(span)) => Text::placed(&value, span, self.text),
            _ => piece,
        }
    }
}

/// The parts between blanks, each with its place.
fn pieces(text: &Text) -> impl Iterator<Item = Text> {
    let mut at = 0;
    let pieces = text.value.split([' ', '\t', '\n']).map(move |piece| {
        let start = at;
        at += piece.len() + 1;
        (start, piece)
    });
    pieces
        .filter(|(_, piece)| !piece.is_empty())
        .map(|(start, piece)| text.piece(start..start + piece.len()))
}
