//! What a migration made of the old file.

use std::path::Path;

use anetcon_api::Schema;
use anetcon_core::legacy::{Change, Migration};
use serde::Serialize;

use super::clean::{lines, word};
use super::style::{BOLD, GOOD, paint};
use super::takeover::{self, Takeover};

/// The old file, and what it says in ours.
#[derive(Debug, Serialize)]
pub struct Migrated {
    /// `1`.
    schema: Schema,
    /// The old file.
    file: String,
    /// The file that was written, if one was.
    written: Option<String>,
    /// What it holds, or would.
    toml: String,
    changes: Vec<Told>,
    /// What was done about the script's rules, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    takeover: Option<Takeover>,
}

/// One thing to know.
#[derive(Debug, Serialize)]
struct Told {
    /// The line of the old file, from 1; `None`: it is about no line.
    line: Option<usize>,
    text: String,
}

impl Migrated {
    /// The document.
    pub fn new(
        file: &Path,
        written: Option<&Path>,
        migration: &Migration,
        takeover: Option<Takeover>,
    ) -> Self {
        let told = |change: &Change| Told { line: change.line, text: change.text.clone() };
        Self {
            schema: Schema,
            file: file.display().to_string(),
            written: written.map(|path| path.display().to_string()),
            toml: migration.toml.clone(),
            takeover,
            changes: migration.changes.iter().map(told).collect(),
        }
    }
}

/// What was done about the script's rules; empty if that was not asked for.
pub fn migrated_rules(migrated: &Migrated) -> String {
    migrated.takeover.as_ref().map(takeover::takeover).unwrap_or_default()
}

/// The new file as it is to be stored: what it holds of others is escaped by TOML, but for letters.
pub fn migrated_toml(migrated: &Migrated) -> String {
    lines(&migrated.toml)
}

/// What changes in meaning, and what was done.
pub fn migrated(migrated: &Migrated) -> String {
    let file = word(&migrated.file);
    let mut text = paint(BOLD, format_args!("What is to be known of {file}:"));
    for told in &migrated.changes {
        let place = told.line.map_or(String::new(), |line| format!("line {line}: "));
        text += &format!("\n- {place}{}", word(&told.text));
    }
    if let Some(written) = &migrated.written {
        let done = paint(GOOD, format_args!("{} is written.", word(written)));
        text += &format!("\n{done} {file} is left as it is.");
    }
    text
}
