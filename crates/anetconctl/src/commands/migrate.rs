//! `migrate`: from the bash script's configuration to ours, and the script's rules out of the way.

use std::fs;
use std::path::{Path, PathBuf};

use anetcon_config::USUAL;
use anetcon_core::config::ConfigErrors;
use anetcon_core::legacy::{self, Migration};
use anyhow::anyhow;
use clap::Args;

use crate::configuration::{self, Source};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::view::{self, Bad, Migrated, Takeover};
use crate::{takeover, whole_file};

/// The package's own configuration. Over it the migrated one is written without a question.
const SHIPPED: &str = include_str!("../../../../conf/anetcon.toml");

/// Where the script had its configuration.
const OLD: &str = "/etc/anetcon.conf";

const HELP: &str = "\
Examples:
  anetconctl migrate
  anetconctl migrate /etc/anetcon.conf --write
  anetconctl migrate --takeover --dry-run

The TOML goes to standard output or to the file of --write, what changes in
meaning to standard error. Stop the script before --takeover, or it makes its
chain again.

Exit codes:
  0   done
  1   the file exists already and is not the package's own, or something of the script's is left to you
  2   wrong usage
  4   no permission for a file or a namespace, or it cannot be told
  78  the old file holds what cannot be read as data";

/// Turn the configuration of the old bash script into ours; nothing of it is executed
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The old file
    #[arg(value_name = "FILE", default_value = OLD)]
    file: PathBuf,
    /// Write the TOML to a file [default PATH: /etc/anetcon/anetcon.toml]
    #[arg(long, value_name = "PATH", num_args = 0..=1, require_equals = true, default_missing_value = USUAL)]
    write: Option<PathBuf>,
    /// Also over a file that exists and is not the package's own
    #[arg(long, requires = "write")]
    force: bool,
    /// Remove the chain that the script left in the selected namespaces, and tell each step
    #[arg(long)]
    takeover: bool,
    /// Only tell what --takeover would remove
    #[arg(long, requires = "takeover", conflicts_with = "write")]
    dry_run: bool,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let source = configuration::read_one(&arguments.file)?;
    refuse_toml(&source, &arguments.file)?;
    let migration = match legacy::read(&source.bytes) {
        Ok(migration) => migration,
        Err(errors) => return bad(context, &source, &errors),
    };
    if let Some(path) = &arguments.write {
        write(path, &migration.toml, arguments.force)?;
    }
    let takeover = match arguments.takeover {
        true => Some(takeover::take_over(context, &migration.config, arguments.dry_run)?),
        false => None,
    };
    let complete = takeover.as_ref().is_none_or(Takeover::is_complete);
    show(context, arguments, &migration, takeover)?;
    Ok(Exit::fine_if(complete))
}

fn bad(context: &Context, source: &Source, errors: &ConfigErrors) -> Result<Exit, Failure> {
    if context.json() {
        let bad = Bad::new(&source.sources(), errors);
        let _ = context.output.json(&bad)?;
    } else {
        let color = context.output.colored_stderr();
        context.output.note(&source.render(errors, color));
    }
    Ok(Exit::BadConfiguration)
}

/// What is TOML needs no migration, whatever its name.
fn refuse_toml(source: &Source, file: &Path) -> Result<(), Failure> {
    if legacy::is_bash(&source.bytes) {
        return Ok(());
    }
    let error = anyhow!("{} is TOML already", file.display());
    let help = format!("use it as it is: `anetconctl check {}`", file.display());
    Err(Failure::new(Exit::BadConfiguration, error).help(help))
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    use whole_file::Error;
    let untouched = || fs::read(path).is_ok_and(|found| found == SHIPPED.as_bytes());
    whole_file::write(path, text.as_bytes(), force || untouched()).map_err(|error| match error {
        Error::Exists => Failure::new(Exit::Wrong, anyhow!("{} exists already", path.display()))
            .help(
                "look at what is in it, then use --force, or name another file with --write=PATH",
            ),
        Error::Io(error) => Failure::new(Exit::CannotTell, error)
            .context(format!("cannot write {}", path.display())),
    })
}

fn show(
    context: &Context,
    arguments: &Arguments,
    migration: &Migration,
    takeover: Option<Takeover>,
) -> Result<(), Failure> {
    let written = arguments.write.as_deref();
    let migrated = Migrated::new(&arguments.file, written, migration, takeover);
    if context.json() {
        let _ = context.output.json(&migrated)?;
        return Ok(());
    }
    let text = match (arguments.takeover, written) {
        (true, _) => view::migrated_rules(&migrated),
        (false, None) => view::migrated_toml(&migrated),
        (false, Some(_)) => String::new(),
    };
    let _ = context.output.print(&text)?;
    if written.is_some() || !arguments.takeover {
        context.output.note(&view::migrated(&migrated));
    }
    Ok(())
}
