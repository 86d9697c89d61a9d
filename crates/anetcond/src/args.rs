//! The agent's command line: that of the bash script it replaces, and `--check`.

use std::path::PathBuf;

use anetcon_core::config::Overrides;
use clap::Parser;

/// Audits new network connections in network namespaces, and puts wiped rules back at once.
#[derive(Debug, Clone, Parser)]
#[command(name = "anetcond", version, disable_version_flag = true, after_help = EXAMPLES)]
pub struct Args {
    /// Configuration file [default: /etc/anetcon/anetcon.toml, or built-in defaults without it]
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Audit the namespaces that match REGEX instead of those in the file; "default" is the root namespace; may be given several times
    #[arg(short = 'n', long = "namespace", value_name = "REGEX")]
    pub namespaces: Vec<String>,
    /// Seconds between two sweeps, instead of `period` in the file
    #[arg(short = 'p', long = "period", value_name = "SECONDS")]
    pub period: Option<u64>,
    /// Write the agent's own messages to FILE as well
    #[arg(short = 'l', long = "log-file", value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Log what is done and why (`debug = true`)
    #[arg(short = 'v', long = "verbose")]
    pub verbose: bool,
    /// Check the configuration, print what is wrong with it, and exit: 0 if it is fine, 78 if not
    #[arg(long)]
    pub check: bool,
    /// Print the version
    #[arg(short = 'V', long = "version", action = clap::ArgAction::Version)]
    version: Option<bool>,
}

const EXAMPLES: &str = "\
Examples:
  anetcond                                       as the service runs it
  anetcond -n '^qrouter-' -n default -p 10 -v    in the foreground, without a file
  anetcond --check -c ./anetcon.toml             is this file fine?

Exit status: 0 stopped by SIGTERM or SIGINT, 1 could not run, 2 wrong usage, 78 bad configuration.";

impl Args {
    /// What the command line puts over the file.
    pub fn overrides(&self) -> Overrides {
        Overrides { namespaces: self.namespaces.clone(), period: self.period, debug: self.verbose }
    }
}
