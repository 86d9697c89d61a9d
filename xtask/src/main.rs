//! Developer commands: `cargo xtask demo`, `dist`, `bench`, `test`, `tidy`, `setup`; one file per command.
//!
//! This crate runs on a fresh machine before libnftnl is there, so it depends on none of ours.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "starting programs is what xtask is for")]

mod bench;
mod demo;
mod dist;
mod process;
mod setup;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Commands for people who work on anetcon.
#[derive(Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure what records cost and how fast they are searched, against other programs.
    Bench(bench::Bench),
    /// Show the agent at work in throw-away namespaces, from set-up to clean-up.
    Demo(demo::Demo),
    /// Make the packages for Debian and for Red Hat's relatives.
    Dist(dist::Dist),
    /// Run the tests that boot whole systems, with the package installed in them.
    E2e(test::EndToEnd),
    /// Install the system packages that building and testing need.
    Setup(setup::Setup),
    /// Run every check of this repository, set-up included.
    Test(test::Test),
    /// Check the house rules that no other tool knows.
    Tidy(tidy::Tidy),
    /// The half of `test` that runs as root; the plan comes on stdin.
    #[command(hide = true)]
    RunTests(test::RunTests),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Bench(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Dist(command) => command.run(),
        Command::E2e(command) => command.run(),
        Command::Setup(command) => command.run(),
        Command::Test(command) => command.run(),
        Command::Tidy(command) => command.run(),
        Command::RunTests(command) => command.run(),
    }
}
