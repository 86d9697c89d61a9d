//! `status`: am I covered?

use clap::Args;
use jiff::Timestamp;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::view;

const HELP: &str = "\
Examples:
  anetconctl status
  anetconctl status --brief --timeout 2   # one line, for health checks

Exit codes:
  0   every selected namespace is audited and every line can reach its log
  1   something is wrong
  2   wrong usage
  3   the agent is not running
  4   no permission, or the agent gives no usable answer";

/// Show what is wrong, what is audited and what was repaired
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// One line
    #[arg(long)]
    brief: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let client = context.client()?;
    let status = context.ask(client.status())?;
    let _ = if context.json() {
        context.output.json(&status)?
    } else if arguments.brief {
        context.output.print(&view::brief(&status))?
    } else {
        context.output.print(&view::status(&status, Timestamp::now()))?
    };
    Ok(Exit::fine_if(status.verdict.ok))
}
