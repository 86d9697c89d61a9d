//! What a purge removed.

use anetcon_api::Schema;
use serde::Serialize;

use super::clean::word;
use super::style::{BAD, BOLD, GOOD, paint};

/// What was done, or would be.
#[derive(Debug, Serialize)]
pub struct Purged {
    /// `1`.
    pub schema: Schema,
    /// The table's name.
    pub table: String,
    /// Nothing was removed, only looked for.
    pub dry_run: bool,
    /// How many namespaces were looked into.
    pub examined: usize,
    /// Those that have the table, and those where it failed.
    pub namespaces: Vec<PurgedNamespace>,
}

/// One namespace that has the table, or may have it.
#[derive(Debug, Serialize)]
pub struct PurgedNamespace {
    /// Which one.
    pub namespace: String,
    /// It had the table and has it no more.
    pub removed: bool,
    /// Why it could not be looked into, or the table not be removed.
    pub error: Option<String>,
}

/// A line for each namespace and one for the sum.
pub fn purge(purged: &Purged) -> String {
    let lines: String = purged.namespaces.iter().map(|netns| line(netns, purged.dry_run)).collect();
    let found = purged.namespaces.iter().filter(|netns| netns.error.is_none()).count();
    let failed = purged.namespaces.len() - found;
    let verb = if purged.dry_run { "would be removed" } else { "removed" };
    let sum = format!(
        "Table inet {} {verb} in {found} of {} namespaces",
        word(&purged.table),
        purged.examined
    );
    match failed {
        0 => format!("{lines}{}\n", paint(GOOD, format_args!("{sum}."))),
        failed => format!("{lines}{}\n", paint(BAD, format_args!("{sum}, {failed} failed."))),
    }
}

fn line(netns: &PurgedNamespace, dry_run: bool) -> String {
    let name = paint(BOLD, word(&netns.namespace));
    match (&netns.error, dry_run) {
        (Some(error), _) => format!("{name}: {}\n", paint(BAD, word(error))),
        (None, true) => format!("{name}: would be removed\n"),
        (None, false) => format!("{name}: removed\n"),
    }
}
