//! The command line tool: arguments in, one document or stream out, and an exit code that scripts can trust.
//!
//! Each command is a file of `commands`; what it prints is made by pure functions of `view`. What is
//! wanted and what the kernel holds is known to the crates below; nothing is decided here.

#![forbid(unsafe_code)]

mod arguments;
mod clickhouse;
mod commands;
mod complete;
mod configuration;
mod context;
mod doctor;
mod exit;
mod machine;
mod output;
mod takeover;
mod times;
mod view;
mod whole_file;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::context::Context;

fn main() -> ExitCode {
    complete::answer();
    let Arguments { common, command } = Arguments::parse();
    let context = Context::new(common);
    match command.run(&context) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            context.output.failure(&failure);
            failure.exit.into()
        }
    }
}
