//! How the session records go, in two lines.

use anetcon_api::RecordsStatus;

use super::clean::word;
use super::style::{BAD, paint};
use super::time;

/// Where they are, and what goes wrong now.
pub fn file(records: &RecordsStatus) -> String {
    if !records.enabled {
        return "off".to_owned();
    }
    let mut text = word(&records.file);
    if let Some(error) = &records.error {
        text.push_str(&format!(", {}", paint(BAD, word(error))));
    }
    text
}

/// What became of them; empty where there are none.
pub fn counts(records: &RecordsStatus) -> String {
    let Some(since) = records.since.as_deref().filter(|_| records.enabled) else {
        return String::new();
    };
    let lost = [
        (records.unwritten, "could not be written"),
        (records.dropped, "found the queue full"),
        (records.overruns, "overruns of the kernel's buffer"),
        (records.malformed, "messages not understood"),
    ];
    let mut parts = vec![format!("{} written", records.written)];
    let bad = lost.into_iter().filter(|(count, _)| *count > 0);
    parts.extend(bad.map(|(count, what)| paint(BAD, format_args!("{count} {what}"))));
    if parts.len() == 1 {
        parts.push("none lost".to_owned());
    }
    format!("{} since {}", parts.join(", "), time::second(since))
}
