//! The agent's command line: that of the bash script it replaces, and `--check`.

use std::path::PathBuf;

use anetcon_core::config::Overrides;
use clap::{CommandFactory, Parser};

/// Audits new network connections in network namespaces, and puts wiped rules back at once.
#[derive(Debug, Clone, Parser)]
#[command(name = "anetcond", version, disable_version_flag = true, after_help = EXAMPLES)]
pub struct Args {
    /// Configuration file, TOML or, if its name ends in .conf, that of the old script [default: /etc/anetcon/anetcon.toml, or built-in defaults without it]
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
    /// Print the manual page
    #[arg(long, hide = true)]
    pub manual: bool,
    /// Open the kernel log for the agent that the service manager starts next, which may then do without CAP_SYSLOG
    #[arg(long, hide = true)]
    pub hand_over_kernel_log: bool,
    /// Print the version
    #[arg(short = 'V', long = "version", action = clap::ArgAction::Version)]
    version: Option<bool>,
}

/// When the words of the command line were changed last.
const CHANGED: &str = "2026-11-27";

const EXAMPLES: &str = "\
Examples:
  anetcond                                       as the service runs it
  anetcond -n '^qrouter-' -n default -p 10 -v    in the foreground, without a file
  anetcond --check -c ./anetcon.toml             is this file fine?

Exit status: 0 stopped by SIGTERM or SIGINT, 1 could not run, 2 wrong usage, 78 bad configuration.";

/// What a user of the service has to know besides the command line.
const MANUAL: &str = r#".SH SIGNALS
.TP
.B SIGHUP
Read the configuration again. A bad one changes nothing.
.TP
.BR SIGTERM ", " SIGINT
Remove the rules, put net.netfilter.nf_log_all_netns back, write what is waiting, and end.
.SH FILES
.TP
.I /etc/anetcon/anetcon.toml
The configuration. Without it the defaults hold.
.TP
.I /var/log/anetcon/anetcon.float.log
Kernel lines of connections to floating addresses.
.TP
.I /var/log/anetcon/anetcon.nat.log
Kernel lines of all other connections.
.TP
.I /var/log/anetcon/anetcon.sessions.ndjson
Session records, one line of JSON for each connection.
.TP
.I /var/lib/anetcon/ledger.ndjson
When auditing was not in force, and why.
.TP
.I /run/anetcon/anetcon.sock
The control socket: HTTP and JSON.
.SH SEE ALSO
.BR anetconctl (1),
.BR anetcon.toml (5)
"#;

/// The page anetcond(8), from the same words as `--help`.
///
/// # Errors
/// None: what is written to is memory.
pub fn manual() -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let page = clap_mangen::Man::new(Args::command().after_help(None)).section("8").date(CHANGED);
    page.source(concat!("anetcon ", env!("CARGO_PKG_VERSION")))
        .manual("anetcon")
        .render(&mut bytes)?;
    let examples = EXAMPLES.replace("Examples:\n", "").replace("\n\n", "\n.fi\n.SH EXIT STATUS\n");
    let page = String::from_utf8_lossy(&bytes);
    Ok(format!("{page}.SH EXAMPLES\n.nf\n{examples}\n{MANUAL}"))
}

impl Args {
    /// What the command line puts over the file.
    pub fn overrides(&self) -> Overrides {
        Overrides { namespaces: self.namespaces.clone(), period: self.period, debug: self.verbose }
    }
}
