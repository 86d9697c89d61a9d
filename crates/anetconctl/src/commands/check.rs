//! `check`: is this configuration good, and what would it audit now?

use std::path::PathBuf;

use anetcon_config::Files;
use anetcon_core::config::{Config, ConfigErrors};
use anetcon_core::netns::NetnsName;
use anetcon_core::prefix::Kind;
use clap::Args;

use crate::configuration;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::machine;
use crate::view::{self, Bad, Good, Refused};

const HELP: &str = "\
Examples:
  anetconctl check
  anetconctl check /tmp/new.toml

Exit codes:
  0   the configuration is good
  1   it is good, but a namespace that it selects now cannot be audited with it
  2   wrong usage
  4   no permission to read it
  78  it is bad";

/// Check a configuration, and list the namespaces it selects now; needs no agent and no root
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The file to check [default: the configuration in use]
    file: Option<PathBuf>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let named = arguments.file.as_deref().or(context.named_configuration());
    let files = configuration::read(named)?;
    match files.parse() {
        Ok(config) => good(context, &files, &config),
        Err(errors) => bad(context, &files, &errors),
    }
}

fn good(context: &Context, files: &Files, config: &Config) -> Result<Exit, Failure> {
    let existing = existing(context, config);
    let selected: Vec<&NetnsName> =
        existing.iter().filter(|netns| config.selection.matches(netns)).collect();
    let refused = selected.iter().filter_map(|netns| refused(config, netns)).collect();
    let good = Good::new(files, existing.len(), &selected, refused);
    let _ = if context.json() {
        context.output.json(&good)?
    } else {
        context.output.print(&view::good(&good, config))?
    };
    Ok(Exit::fine_if(good.refused.is_empty()))
}

/// A folder that cannot be read is no fault of the configuration.
fn existing(context: &Context, config: &Config) -> Vec<NetnsName> {
    match machine::start(config).and_then(|host| machine::namespaces(&host)) {
        Ok(namespaces) => {
            context.output.warnings(&namespaces.skipped);
            namespaces.names
        }
        Err(failure) => {
            context.output.failure(&failure);
            vec![NetnsName::root()]
        }
    }
}

/// A name may be too long or too odd for the log prefix; only a real name can tell.
fn refused(config: &Config, netns: &NetnsName) -> Option<Refused> {
    let error = Kind::ALL.iter().find_map(|&kind| config.log.prefixes.full(kind, netns).err())?;
    Some(Refused { namespace: netns.to_string(), error: error.to_string() })
}

fn bad(context: &Context, files: &Files, errors: &ConfigErrors) -> Result<Exit, Failure> {
    if context.json() {
        let bad = Bad::new(files.sources(), errors);
        let _ = context.output.json(&bad)?;
    } else {
        let color = context.output.colored_stderr();
        context.output.note(&files.render(errors, color));
    }
    Ok(Exit::BadConfiguration)
}
