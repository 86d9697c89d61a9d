//! `gaps`: whether the log is complete for a span of time, and what is missing. Reads the ledger itself; the agent need not run.

use std::path::{Path, PathBuf};

use anetcon_core::ledger::{self as book, Verdict};
use anetcon_records::ledger::{Read, read};
use anetcon_records::search::{Span, length, namespace};
use clap::Args;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use regex::Regex;

use crate::complete;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::times::{Times, failure};
use crate::view;

/// The agent gives a sign of life forty times a second. After this without one it is dead.
const SILENCE: SignedDuration = SignedDuration::from_secs(2);

const HELP: &str = "\
Complete means: at no time in the span was auditing out of force, and nothing that the kernel told was lost, as far as the
ledger knows; it knows nothing of times before its first line. Times as for `anetconctl who`.

Examples:
  anetconctl gaps --from '2026-11-23 14:00' --to '2026-11-23 15:00'
  anetconctl gaps --at 2026-11-23T14:03:10Z --window 5m --namespace qrouter-a4fadad3
  anetconctl gaps --from -24h --json | jq -r '[.namespace, .cause, .from, .to] | @tsv'

Exit codes:
  0   complete
  1   not complete
  2   wrong usage
  4   the ledger cannot be read
  78  the configuration is bad";

/// Tell whether the log is complete for a span of time, and what is missing
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    #[command(flatten)]
    times: Times,
    /// How far around --at [default: 0s]
    #[arg(long, value_name = "LENGTH", requires = "at")]
    window: Option<String>,
    /// Only namespaces whose name matches
    #[arg(long, value_name = "REGEX", add = complete::namespaces())]
    namespace: Option<String>,
    /// The folder of the ledger [default: state.directory of the configuration]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let now = ZonedDateTime::now();
    let window = arguments.window.as_deref().unwrap_or("0s");
    let window = length(window).map_err(|refused| failure(("--window", refused)))?;
    let (span, local) = arguments.times.span(window, &now).map_err(failure)?;
    let pattern = arguments.namespace.as_deref().map(namespace).transpose();
    let pattern = pattern.map_err(|refused| failure(("--namespace", refused)))?;
    let folder = state_folder(context, arguments.dir.as_deref())?;
    let span = until_now(span);
    let read = read(&folder, span).map_err(|error| {
        let text = format!("cannot read the ledger in {}", folder.display());
        Failure::new(Exit::CannotTell, error).context(text)
    })?;
    for line in local {
        context.output.note(&format!("anetconctl: {line}"));
    }
    context.output.warnings(&view::damaged_ledger(&read.damaged));
    let verdict = verdict(span, pattern.as_ref(), read);
    let _ = if context.json() {
        context.output.note(&view::verdict(&verdict, span));
        let lines = verdict.gaps.iter().filter_map(|gap| serde_json::to_string(&gap.entry).ok());
        context.output.print(&lines.map(|line| line + "\n").collect::<String>())?
    } else {
        context.output.print(&view::gaps(&verdict, span))?
    };
    Ok(if verdict.complete { Exit::Fine } else { Exit::Wrong })
}

/// A span until now at most: of the future nobody knows.
pub fn until_now(span: Span) -> book::Span {
    let now = Timestamp::now();
    book::Span { from: span.from, to: span.to.filter(|to| *to < now) }
}

/// What a ledger that was read for a span says of it.
pub fn verdict(span: book::Span, pattern: Option<&Regex>, mut read: Read) -> Verdict {
    if let Some(beat) = &read.beat
        && Timestamp::now().duration_since(beat.time) > SILENCE
    {
        read.account.silent_since(beat.time, &beat.boot_id);
    }
    let is_asked = |name: &str| pattern.is_none_or(|pattern| pattern.is_match(name));
    read.account.verdict(span, is_asked)
}

/// Where the ledger is: in the named folder, else where the configuration puts it.
///
/// # Errors
/// A configuration that was named on the command line and is bad.
pub fn state_folder(context: &Context, named: Option<&Path>) -> Result<PathBuf, Failure> {
    match named {
        Some(folder) => Ok(folder.to_owned()),
        None => Ok(context.configuration_or_default()?.state.directory),
    }
}
