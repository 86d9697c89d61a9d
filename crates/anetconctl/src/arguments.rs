//! The command line: what every command takes, and the list of commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, ValueEnum};

use crate::commands::Command;

const CODES: &str = "\
Exit codes:
  0   fine
  1   something is wrong: a namespace is not audited, rules differ, or nothing was found
  2   wrong usage
  3   the agent is not running
  4   no permission, or it cannot be told
  78  the configuration is bad";

/// Show and steer the agent that audits the connections of network namespaces.
#[derive(Debug, Parser)]
#[command(name = "anetconctl", version, after_help = CODES)]
pub struct Arguments {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The agent's control socket [default: control.socket of the configuration]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// The configuration file [default: /etc/anetcon/anetcon.toml]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Wait this long for the agent [default: 5, for diff and reload 30], or for a database [default: 60]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0 and not absurdly much".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_gives_an_example_and_its_exit_codes() {
        for command in Arguments::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            let name = command.get_name();
            assert!(help.contains(&format!("anetconctl {name}")), "{name} has no example:\n{help}");
            assert!(help.contains("Exit codes:\n  0 "), "{name} has no exit codes:\n{help}");
        }
    }

    #[test]
    fn time_limits_are_positive() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for refused in ["0", "-1", "NaN", "inf", "1e40", "5s", ""] {
            assert!(seconds(refused).is_err(), "{refused}");
        }
    }
}
