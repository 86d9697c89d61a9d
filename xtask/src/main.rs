//! Developer commands: `cargo xtask demo`, `test`, `tidy`, `setup`; one file per command.
//!
//! This crate runs on a fresh machine before libnftnl is there, so it depends on none of ours.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "starting programs is what xtask is for")]

mod demo;
mod process;
mod setup;

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
    /// Show the agent at work in throw-away namespaces, from set-up to clean-up.
    Demo(demo::Demo),
    /// Install the system packages that building and testing need.
    Setup(setup::Setup),
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Demo(command) => command.run(),
        Command::Setup(command) => command.run(),
    }
}
