//! `watch`: events as they come.

use anetcon_api::Client;
use anyhow::anyhow;
use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::view;

const HELP: &str = "\
Examples:
  anetconctl watch
  anetconctl watch --json | jq -c 'select(.type == \"repaired\")'

It runs until it is interrupted or nobody reads its output.

Exit codes:
  0   nobody reads the output any more
  2   wrong usage
  3   the agent is not running, or has stopped
  4   no permission, or the agent gives no usable answer";

/// Print events as they come, one per line; with --json as NDJSON
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {}

pub fn run(context: &Context) -> Result<Exit, Failure> {
    let client = context.client()?;
    context.ask(watch(context, &client))
}

async fn watch(context: &Context, client: &Client) -> Result<Exit, Failure> {
    let mut watch = client.watch().await?;
    while let Some(received) = watch.next().await? {
        // With --json the agent's own line, which may say more than this version knows.
        let line = match context.json() {
            true => format!("{}\n", received.line),
            false => view::event(&received.event),
        };
        if context.output.print(&line)?.is_break() {
            return Ok(Exit::Fine);
        }
    }
    Err(Failure::new(Exit::NotRunning, anyhow!("the agent has stopped")))
}
