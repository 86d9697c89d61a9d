//! What is different where the whole fleet is asked.

use std::collections::BTreeSet;

use anetcon_records::search::{Answer, Found, Query, Span};
use jiff::Timestamp;

use super::clean::word;
use super::who::{nothing_found, second, wider};

/// Nothing was found: what was searched.
pub fn fleet_nothing(query: &Query, found: &Found, server: &str) -> String {
    let mut text = nothing_found(query);
    let server = word(server);
    match found.covered {
        Some((oldest, newest)) => text.push_str(&format!(
            "Session records in {server}: from {} to {}\n",
            second(oldest),
            second(newest)
        )),
        None => text.push_str(&format!("Session records in {server}: none\n")),
    }
    text + wider(query)
}

/// Gaps are in the ledger of each node, which no database has.
pub fn fleet_verdict(span: Span, found: &Found) -> String {
    const SHOWN: usize = 3;
    let time = |option: &str, time: Option<Timestamp>| {
        time.map(|time| format!(" {option} {time:.0}")).unwrap_or_default()
    };
    let hosts: BTreeSet<String> = found
        .hits
        .iter()
        .filter_map(|hit| match hit.answer()? {
            Answer::Session(record) => Some(word(&record.observer.hostname)),
            Answer::Kernel(_) => None,
        })
        .collect();
    let on = match hosts.len() {
        1..=SHOWN => hosts.into_iter().collect::<Vec<_>>().join(", "),
        _ => "each node".to_owned(),
    };
    format!(
        "Whether that is complete is not known here, as gaps are on record on the nodes: ask on {on} with \
         `anetconctl gaps{}{}`",
        time("--from", span.from),
        time("--to", span.to)
    )
}
