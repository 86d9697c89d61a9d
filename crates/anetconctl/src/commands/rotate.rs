//! `rotate`: have the agent open its files anew after somebody renamed them.

use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::view;

const HELP: &str = "\
Examples:
  anetconctl rotate   # what logrotate calls after it has renamed the files

Exit codes:
  0   the files are open
  2   wrong usage
  3   the agent is not running
  4   no permission, or the agent gives no usable answer";

/// Have the agent open the files it writes anew, by their names
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {}

pub fn run(context: &Context) -> Result<Exit, Failure> {
    let client = context.client()?;
    let rotated = context.ask(client.rotate())?;
    let _ = if context.json() {
        context.output.json(&rotated)?
    } else {
        context.output.print(&view::rotate(&rotated))?
    };
    Ok(Exit::Fine)
}
