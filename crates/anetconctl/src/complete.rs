//! What a shell is told while somebody types: commands and options by themselves, namespaces from their folders.
//!
//! Needs neither the agent nor root, and says nothing when something cannot be read: nobody asked a question.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;

use anetcon_config::Files;
use anetcon_core::netns::ROOT;
use clap::CommandFactory;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::CompleteEnv;

use crate::arguments::Arguments;

/// The variable by which a completion script asks.
pub const VARIABLE: &str = "_ANETCONCTL_COMPLETE";

/// Answers a completion script and ends the process, if one asks.
pub fn answer() {
    CompleteEnv::with_factory(Arguments::command).var(VARIABLE).complete();
}

/// Completes an argument with the names of namespaces.
pub fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_string_lossy();
        let names = existing().into_iter().filter(|name| name.starts_with(&*typed));
        names.map(CompletionCandidate::new).collect()
    })
}

fn existing() -> BTreeSet<String> {
    let config = Files::read(None).ok().and_then(|files| files.parse().ok());
    let folders = config.unwrap_or_default().namespace_directories;
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.chain([ROOT.to_owned()]).collect()
}
