//! What commands print, as pure functions from documents to text. No IO and no clock here.
//!
//! Text may hold ANSI colours; the output strips them where they are not wanted. Everything that
//! comes from outside passes through `clean`: names of namespaces and threads are anybody's to choose.

mod check;
mod clean;
mod columns;
mod config;
mod diff;
mod doctor;
mod event;
mod fleet;
mod gaps;
mod list;
mod manifest;
mod manual;
mod migrate;
mod purge;
mod records;
mod reload;
mod rotate;
mod show;
mod status;
mod style;
mod takeover;
#[cfg(test)]
mod tests;
mod time;
mod who;

pub use self::check::{Bad, Good, Refused, good};
pub use self::clean::lines as clean_lines;
pub use self::clean::word as clean_word;
pub use self::config::{origin_json, origins};
pub use self::diff::diff;
pub use self::doctor::doctor;
pub use self::event::event;
pub use self::fleet::{fleet_nothing, fleet_verdict};
pub use self::gaps::{damaged_ledger, gaps, verdict};
pub use self::list::list;
pub use self::manifest::{manifest_list, manifest_report, manifest_verdict, state_word};
pub use self::manual::manual;
pub use self::migrate::{Migrated, migrated, migrated_rules, migrated_toml};
pub use self::purge::{Purged, PurgedNamespace, purge};
pub use self::reload::reload;
pub use self::rotate::rotate;
pub use self::show::{holds, show};
pub use self::status::{brief, status};
pub use self::takeover::{Taken, TakenState, Takeover};
pub use self::who::{damage, local_time, nothing, refused, who};

use self::style::{BAD, BOLD, paint};

/// An error and what to do about it.
pub fn failure(reason: &str, help: Option<&str>) -> String {
    let mut text = format!("{} {reason}", paint(BAD, "anetconctl:"));
    if let Some(help) = help {
        text.push_str(&format!("\n{} {help}", paint(BOLD, "help:")));
    }
    text
}
