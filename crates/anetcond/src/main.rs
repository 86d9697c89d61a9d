//! The agent's way in: command line, configuration, logging, then the planes. Wiring only; each part decides for itself.

#![forbid(unsafe_code)]

mod agent;
mod args;
mod capture;
mod clock;
mod control;
mod hashes;
mod limits;
mod logging;
mod nf_log;
mod notify;
mod priority;
mod records;
mod registry;
mod run;
mod settings;
mod status;
mod supervisor;
mod worker;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::Args;
use crate::settings::{Bad, Source};

/// `EX_CONFIG` of sysexits.h: the service manager does not start us again with the same bad file.
const BAD_CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let args = Args::parse();
    let source = Source::new(args.config.as_deref(), args.overrides());
    let loaded = match source.load() {
        Ok(loaded) => loaded,
        Err(bad) => return refuse(&bad),
    };
    if args.check {
        return ExitCode::SUCCESS;
    }
    match run::run(&args, source, loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("anetcond: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn refuse(bad: &Bad) -> ExitCode {
    say(&bad.render(io::stderr().is_terminal()));
    ExitCode::from(BAD_CONFIGURATION)
}

/// Before logging runs, and after it ended, standard error is all there is. If it is closed, nobody listens.
fn say(text: &str) {
    drop(writeln!(io::stderr(), "{}", text.trim_end()));
}
