//! `reload`: have the agent read its configuration again.

use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::view;

const HELP: &str = "\
Examples:
  anetconctl check && anetconctl reload

Exit codes:
  0   the configuration is in force
  2   wrong usage
  3   the agent is not running
  4   no permission, or the agent gives no usable answer
  78  the configuration is bad; the one before it stays in force";

/// Have the agent load its configuration again, and show what changed
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {}

pub fn run(context: &Context) -> Result<Exit, Failure> {
    let client = context.client()?;
    let reload = context.ask(client.reload())?;
    let _ = if context.json() {
        context.output.json(&reload)?
    } else {
        context.output.print(&view::reload(&reload))?
    };
    Ok(Exit::Fine)
}
