//! `completion`: scripts that complete this command line in a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::context::Context;
use crate::exit::{Exit, Failure};

const HELP: &str = "\
Examples:
  anetconctl completion bash > /etc/bash_completion.d/anetconctl

Exit codes:
  0   printed
  2   wrong usage";

/// Print a completion script
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The shell it is for
    shell: Shell,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    let mut command = crate::arguments::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "anetconctl", &mut script);
    let _ = context.output.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}
