//! `completion`: scripts that complete this command line in a shell.

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Zsh};

use crate::complete::VARIABLE;
use crate::context::Context;
use crate::exit::{Exit, Failure};

const HELP: &str = "\
Examples:
  anetconctl completion bash > /etc/bash_completion.d/anetconctl

Exit codes:
  0   printed
  2   wrong usage";

/// What the shell completes, and calls to do so.
const NAME: &str = "anetconctl";

/// Print a completion script, which also completes names of namespaces
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The shell it is for
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Zsh,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let shell: &dyn EnvCompleter = match arguments.shell {
        Shell::Bash => &Bash,
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Zsh => &Zsh,
    };
    shell
        .write_registration(VARIABLE, NAME, NAME, NAME, &mut script)
        .map_err(|error| Failure::new(Exit::CannotTell, error))?;
    let _ = context.output.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}
