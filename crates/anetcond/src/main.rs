//! The agent's way in: command line, configuration, logging, then the planes. Wiring only; each part decides for itself.

#![forbid(unsafe_code)]

mod agent;
mod args;
mod balance;
mod capture;
mod clock;
mod control;
mod exposition;
mod hashes;
mod kernel_log;
mod ledger;
mod limits;
mod logging;
mod manager;
mod manifest;
mod metrics;
mod nf_log;
mod notify;
mod priority;
mod records;
mod registry;
mod run;
mod settings;
mod status;
mod store;
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
    if args.manual {
        return print_manual();
    }
    if args.hand_over_kernel_log {
        return hand_over_kernel_log();
    }
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

fn print_manual() -> ExitCode {
    let printed = args::manual().and_then(|page| io::stdout().write_all(page.as_bytes()));
    if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn hand_over_kernel_log() -> ExitCode {
    match kernel_log::hand_over() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("anetcond: the kernel log is not handed over: {error}"));
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
