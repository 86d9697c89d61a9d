//! `list`: every selected namespace.

use anetcon_api::NamespaceState;
use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::view;

const HELP: &str = "\
Examples:
  anetconctl list
  anetconctl list --no-legend | awk '$1 == \"failed\" { print $2 }'

Exit codes:
  0   every selected namespace is audited
  1   one is not
  2   wrong usage
  3   the agent is not running
  4   no permission, or the agent gives no usable answer";

/// List the selected namespaces, failing ones first
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// No header above and no count below
    #[arg(long)]
    no_legend: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let client = context.client()?;
    let document = context.ask(client.namespaces())?;
    let namespaces = &document.namespaces;
    let _ = if context.json() {
        context.output.json(&document)?
    } else {
        context.output.print(&view::list(namespaces, !arguments.no_legend))?
    };
    let audited = namespaces.iter().all(|netns| netns.state == NamespaceState::Audited);
    Ok(Exit::fine_if(audited))
}
