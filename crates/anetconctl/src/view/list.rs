//! The namespaces in aligned columns, failing ones first.

use anetcon_api::{Namespace, NamespaceState};
use clap::builder::styling::Style;

use super::clean::word;
use super::columns::{Cell, aligned};
use super::style::{BAD, BOLD, DIM, GOOD, ODD};
use super::time;

/// A line for each namespace; with a legend above and a count below.
pub fn list(namespaces: &[Namespace], legend: bool) -> String {
    let mut sorted: Vec<&Namespace> = namespaces.iter().collect();
    sorted.sort_by_key(|netns| (netns.state, !netns.fighting, &netns.name));
    let mut rows: Vec<Vec<Cell>> = sorted.into_iter().map(row).collect();
    if !legend {
        return aligned("", &rows);
    }
    if namespaces.is_empty() {
        return "No namespace is selected\n".to_owned();
    }
    rows.insert(0, header());
    let unaudited =
        namespaces.iter().filter(|netns| netns.state != NamespaceState::Audited).count();
    let namespaces = match namespaces.len() {
        1 => "1 namespace".to_owned(),
        count => format!("{count} namespaces"),
    };
    format!("{}\n{namespaces}, {unaudited} not audited\n", aligned("", &rows))
}

/// A state's word and colour.
pub fn state(state: NamespaceState) -> (&'static str, Style) {
    match state {
        NamespaceState::Failed => ("failed", BAD),
        NamespaceState::Repairing => ("repairing", ODD),
        NamespaceState::Waiting => ("waiting", ODD),
        NamespaceState::Audited => ("audited", GOOD),
    }
}

fn header() -> Vec<Cell> {
    let left = |name: &str| Cell::new(name).style(DIM);
    let right = |name: &str| left(name).right();
    vec![
        left("STATE"),
        left("NAMESPACE"),
        left("HASH"),
        right("FLOAT"),
        right("NAT"),
        right("REPAIRS"),
        left("SINCE"),
        left("REMARK"),
    ]
}

fn row(netns: &Namespace) -> Vec<Cell> {
    let (name, style) = state(netns.state);
    vec![
        Cell::new(name).style(style),
        Cell::new(word(&netns.name)).style(BOLD),
        Cell::new(word(&netns.hash)),
        Cell::number(netns.connections.float),
        Cell::number(netns.connections.nat),
        Cell::number(netns.repairs),
        Cell::new(time::compact(&netns.since)),
        Cell::new(remark(netns)),
    ]
}

fn remark(netns: &Namespace) -> String {
    match (&netns.error, netns.fighting) {
        (Some(error), _) => word(error),
        (None, true) => "somebody keeps changing our rules".to_owned(),
        (None, false) => String::new(),
    }
}
