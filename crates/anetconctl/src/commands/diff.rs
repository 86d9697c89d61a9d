//! `diff`: what is wanted against what the kernel holds, by the agent or, without it, by ourselves.

use anetcon_api::{Diff, Error, NamespaceDiff, Schema};
use anetcon_core::config::Config;
use anetcon_core::expr::kernel;
use anetcon_core::netns::NetnsName;
use anetcon_core::observed::Observed;
use anetcon_core::plan::{Plan, plan};
use anetcon_core::table::Table;
use anetcon_core::{desired, render};
use anetcon_host::Host;
use anyhow::anyhow;
use clap::Args;

use crate::complete;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::machine;
use crate::view;

const HELP: &str = "\
Examples:
  anetconctl diff
  anetconctl diff qrouter-a4fadad3-e529-4329-a086-010b84363596

Lines start with \"-\" (in the kernel only) or \"+\" (wanted only).

Exit codes:
  0   the kernel holds exactly what is wanted
  1   something differs, or there is no such namespace
  2   wrong usage
  4   no permission, or it cannot be told
  78  the configuration is bad (when the agent is not running)";

/// Compare the rules that are wanted with those in the kernel; works without the agent
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// One namespace [default: every selected one]
    #[arg(value_name = "NAME", add = complete::namespaces())]
    namespace: Option<String>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let namespace = arguments.namespace.as_deref();
    let client = context.client()?;
    let asked = context.ask(async {
        match client.diff(namespace).await {
            Err(Error::NotRunning { .. }) => Ok(None),
            answer => answer.map(Some),
        }
    })?;
    let diff = match asked {
        Some(diff) => diff,
        None => direct(context, namespace)?,
    };
    let _ = if context.json() {
        context.output.json(&diff)?
    } else {
        context.output.print(&view::diff(&diff))?
    };
    Ok(exit(&diff))
}

fn exit(diff: &Diff) -> Exit {
    let differs = |diff: &NamespaceDiff| !diff.in_force && diff.error.is_none();
    if diff.namespaces.iter().any(differs) {
        Exit::Wrong
    } else if diff.namespaces.iter().any(|diff| diff.error.is_some()) {
        Exit::CannotTell
    } else {
        Exit::Fine
    }
}

fn direct(context: &Context, only: Option<&str>) -> Result<Diff, Failure> {
    let config = context.configuration()?;
    let host = machine::open(&config)?;
    let existing = machine::namespaces(&host)?;
    context.output.warnings(&existing.skipped);
    let names = chosen(&config, existing.names, only)?;
    let namespaces = names.iter().filter_map(|name| compare(&host, &config, name)).collect();
    Ok(Diff { schema: Schema, namespaces })
}

/// The selected namespaces, or the one that was named, selected or not.
fn chosen(
    config: &Config,
    mut existing: Vec<NetnsName>,
    only: Option<&str>,
) -> Result<Vec<NetnsName>, Failure> {
    existing.retain(|name| match only {
        Some(only) => name.as_str() == only,
        None => config.selection.matches(name),
    });
    match only {
        Some(only) if existing.is_empty() => {
            Err(Failure::new(Exit::Wrong, anyhow!("there is no namespace {only}")))
        }
        _ => Ok(existing),
    }
}

/// One namespace; `None` for a file that is no namespace (yet).
fn compare(host: &Host, config: &Config, name: &NetnsName) -> Option<NamespaceDiff> {
    let wanted = match config.selection.matches(name) {
        true => match desired::table(config, name) {
            Ok(table) => Some(table),
            Err(error) => return Some(unknown(name, &error.into())),
        },
        false => None,
    };
    let observed = match host.observe(name, &config.rules.table) {
        Ok(observed) => observed,
        Err(error) if machine::is_no_namespace(&error) => return None,
        Err(error) => return Some(unknown(name, &error.into())),
    };
    let (wanted, observed) = unprotected(wanted, observed);
    let in_force = plan(wanted.as_ref(), &observed) == Plan::Nothing;
    let text = match in_force {
        true => String::new(),
        false => render::diff(wanted.as_ref(), observed.table.as_ref()),
    };
    Some(NamespaceDiff { namespace: name.to_string(), in_force, text, error: None })
}

fn unknown(name: &NetnsName, error: &anyhow::Error) -> NamespaceDiff {
    NamespaceDiff {
        namespace: name.to_string(),
        in_force: false,
        text: String::new(),
        error: Some(format!("{error:#}")),
    }
}

/// Whether and by whom the table is protected is known to the agent alone: here it does not count.
fn unprotected(mut wanted: Option<Table>, mut observed: Observed) -> (Option<Table>, Observed) {
    let protecting = kernel::TABLE_OWNER | kernel::TABLE_PERSIST;
    for table in wanted.iter_mut().chain(&mut observed.table) {
        table.flags &= !protecting;
        table.foreign_owner = None;
    }
    (wanted, observed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(states: &[(bool, Option<&str>)]) -> Diff {
        let namespaces = states
            .iter()
            .map(|&(in_force, error)| NamespaceDiff {
                namespace: "q".into(),
                in_force,
                text: String::new(),
                error: error.map(str::to_owned),
            })
            .collect();
        Diff { schema: Schema, namespaces }
    }

    #[test]
    fn a_difference_outweighs_what_cannot_be_told() {
        assert_eq!(exit(&diff(&[])), Exit::Fine);
        assert_eq!(exit(&diff(&[(true, None)])), Exit::Fine);
        assert_eq!(exit(&diff(&[(true, None), (false, Some("no"))])), Exit::CannotTell);
        assert_eq!(exit(&diff(&[(false, None), (false, Some("no"))])), Exit::Wrong);
    }

    #[test]
    fn a_named_namespace_need_not_be_selected_but_must_exist() {
        let names = |names: &[&str]| -> Vec<NetnsName> {
            names.iter().map(|name| NetnsName::named(name).unwrap()).collect()
        };
        let config = Config::default();
        let existing = names(&["other", "qrouter-1", "qrouter-2"]);
        let selected = chosen(&config, existing.clone(), None).unwrap();
        assert_eq!(selected, names(&["qrouter-1", "qrouter-2"]));
        assert_eq!(chosen(&config, existing.clone(), Some("other")).unwrap(), names(&["other"]));
        assert_eq!(chosen(&config, existing, Some("absent")).unwrap_err().exit, Exit::Wrong);
    }
}
