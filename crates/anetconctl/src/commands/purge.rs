//! `purge`: leave no table of ours behind, in any namespace.

use anetcon_api::{Error, Schema};
use anetcon_core::netns::NetnsName;
use anetcon_host::Host;
use anyhow::anyhow;
use clap::Args;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::machine;
use crate::view::{self, Purged, PurgedNamespace};

const HELP: &str = "\
Examples:
  anetconctl purge --dry-run
  systemctl stop anetcon && anetconctl purge

Exit codes:
  0   no table of ours is left (with --dry-run: it was listed)
  1   a table could not be removed, or the agent is running and would put it back
  2   wrong usage
  4   no permission, or it cannot be told
  78  the configuration is bad";

/// Remove our table from every namespace of this machine, selected or not; works without the agent
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// Only list what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Also while the agent is running
    #[arg(long)]
    force: bool,
    /// The table of family inet to remove [default: rules.table of the configuration]
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let config = context.configuration()?;
    let table = arguments.table.as_deref().unwrap_or(&config.rules.table);
    let host = machine::open(&config)?;
    if !arguments.dry_run && !arguments.force {
        refuse_while_running(context)?;
    }
    let purged = purge(context, &host, table, arguments.dry_run)?;
    let _ = if context.json() {
        context.output.json(&purged)?
    } else {
        context.output.print(&view::purge(&purged))?
    };
    Ok(Exit::fine_if(purged.namespaces.iter().all(|netns| netns.error.is_none())))
}

fn refuse_while_running(context: &Context) -> Result<(), Failure> {
    let client = context.client()?;
    let running = context.ask(async {
        match client.status().await {
            Err(Error::NotRunning { .. }) => Ok(false),
            // We may not ask, or no answer comes: all the same somebody listens there.
            Err(error @ Error::Connect { .. }) => Err(error),
            _ => Ok(true),
        }
    })?;
    if !running {
        return Ok(());
    }
    let error = anyhow!("the agent is running and would put its tables back at once");
    let help = "stop it first with `systemctl stop anetcon`, or use --force";
    Err(Failure::new(Exit::Wrong, error).help(help))
}

fn purge(context: &Context, host: &Host, table: &str, dry_run: bool) -> Result<Purged, Failure> {
    let existing = machine::namespaces(host)?;
    context.output.warnings(&existing.skipped);
    let mut namespaces: Vec<PurgedNamespace> =
        existing.names.iter().filter_map(|name| remove(host, name, table, dry_run)).collect();
    if namespaces.iter().any(|netns| netns.error.is_some()) {
        // A namespace that was deleted meanwhile took its table with it.
        let left = machine::namespaces(host)?.names;
        let exists = |name: &str| left.iter().any(|left| left.as_str() == name);
        namespaces.retain(|netns| netns.error.is_none() || exists(&netns.namespace));
    }
    let examined = existing.names.len();
    Ok(Purged { schema: Schema, table: table.to_owned(), dry_run, examined, namespaces })
}

/// What was done to one namespace; `None` if it has no such table.
fn remove(host: &Host, name: &NetnsName, table: &str, dry_run: bool) -> Option<PurgedNamespace> {
    let found = match dry_run {
        true => host.observe(name, table).map(|observed| observed.table.is_some()),
        false => host.remove(name, table),
    };
    let error = match found {
        Ok(false) => return None,
        Ok(true) => None,
        Err(error) if machine::is_no_namespace(&error) => return None,
        Err(error) => Some(format!("{:#}", anyhow!(error))),
    };
    let removed = !dry_run && error.is_none();
    Some(PurgedNamespace { namespace: name.to_string(), removed, error })
}
