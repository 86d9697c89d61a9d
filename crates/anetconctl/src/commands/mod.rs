//! The commands, one file each: its arguments, its help, and what it does.

use clap::Subcommand;

use crate::context::Context;
use crate::exit::{Exit, Failure};

mod check;
mod completion;
mod config;
mod diff;
mod doctor;
mod gaps;
mod list;
mod manifest;
mod manual;
mod migrate;
mod purge;
mod reload;
mod rotate;
mod show;
mod status;
mod watch;
mod who;

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    Status(status::Arguments),
    List(list::Arguments),
    Show(show::Arguments),
    Check(check::Arguments),
    Config(config::Arguments),
    Diff(diff::Arguments),
    Who(who::Arguments),
    Gaps(gaps::Arguments),
    Manifest(manifest::Arguments),
    Doctor(doctor::Arguments),
    Migrate(migrate::Arguments),
    Reload(reload::Arguments),
    Rotate(rotate::Arguments),
    Watch(watch::Arguments),
    Purge(purge::Arguments),
    Completion(completion::Arguments),
    Manual(manual::Arguments),
}

impl Command {
    /// Do it.
    ///
    /// # Errors
    /// There is no result; the failure knows its exit code.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Status(arguments) => status::run(context, arguments),
            Self::List(arguments) => list::run(context, arguments),
            Self::Show(arguments) => show::run(context, arguments),
            Self::Check(arguments) => check::run(context, arguments),
            Self::Config(arguments) => config::run(context, arguments),
            Self::Diff(arguments) => diff::run(context, arguments),
            Self::Who(arguments) => who::run(context, arguments),
            Self::Gaps(arguments) => gaps::run(context, arguments),
            Self::Doctor(arguments) => doctor::run(context, arguments),
            Self::Manifest(arguments) => manifest::run(context, arguments),
            Self::Migrate(arguments) => migrate::run(context, arguments),
            Self::Reload(_) => reload::run(context),
            Self::Rotate(_) => rotate::run(context),
            Self::Watch(_) => watch::run(context),
            Self::Purge(arguments) => purge::run(context, arguments),
            Self::Completion(arguments) => completion::run(context, arguments),
            Self::Manual(arguments) => manual::run(context, arguments),
        }
    }
}
