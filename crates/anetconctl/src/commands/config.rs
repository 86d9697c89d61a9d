//! `config`: the configuration as it is understood, from all its files.

use anetcon_core::config::origins;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::configuration;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::view;

const HELP: &str = "\
Examples:
  anetconctl config show --origin
  anetconctl config show --json | jq -r '.values[] | select(.file) | .key'

Exit codes:
  0   shown
  2   wrong usage
  4   no permission to read it
  78  it is bad";

/// Show the configuration of all files together
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print every key with its value, as one file that means the same
    Show {
        /// Also the file and line that each value is from
        #[arg(long)]
        origin: bool,
    },
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let Command::Show { origin } = arguments.command;
    let files = configuration::read(context.named_configuration())?;
    let color = context.output.colored_stderr();
    let config =
        files.parse().map_err(|errors| configuration::bad(&files.render(&errors, color)))?;
    let values = origins(&config, files.sources());
    let _ = if context.json() {
        let values: Vec<_> = values.iter().map(view::origin_json).collect();
        context.output.json(&json!({ "schema": 1, "values": values }))?
    } else {
        context.output.print(&view::origins(&values, origin))?
    };
    Ok(Exit::Fine)
}
