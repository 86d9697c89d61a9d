//! `who`: which instance had this address and port, then. Reads the files itself, or asks the database of a fleet; the agent
//! need not run.

use std::path::PathBuf;

use anetcon_records::ledger;
use anetcon_records::search::{Asked, Found, Query, Sources, length, namespace, search, transport};
use anyhow::anyhow;
use clap::Args;
use jiff::ZonedDateTime;

use super::gaps::{self, state_folder};
use crate::clickhouse::{self, Database, Server};
use crate::complete;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::times::{Times, Wrong, failure};
use crate::view;

const HELP: &str = "\
Times: 2026-11-23T14:03:10Z, '2026-11-23 14:03:10' (local time), -2h, or seconds since 1970.
Finds connections that were opened in the time asked for; one that was opened earlier and was still open needs a wider
--window. Where there is no session record of a time, the kernel log lines of it are searched, which show one side only.

Examples:
  anetconctl who 203.0.113.7:41022 --at 2026-11-23T14:03:10Z
  anetconctl who '[2001:db8::7]:41022' --from -2h --peer 198.51.100.9:443
  anetconctl who 203.0.113.7 --dir /evidence/net1 --json | jq -c '[.anetcon.namespace, .source]'
  anetconctl who 203.0.113.7:41022 --at -1h --clickhouse http://clickhouse.example:8123

Exit codes:
  0   found
  1   nothing found
  2   wrong usage
  4   no file could be read, or the database did not answer
  78  the configuration is bad";

/// Tell which instance had an outside address and port at a time
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The address, and the port if it is known; IPv6 with a port in brackets
    #[arg(value_name = "ADDR[:PORT]")]
    asked: String,
    #[command(flatten)]
    times: Times,
    /// How far from --at a connection may be [default: 5m]
    #[arg(long, value_name = "LENGTH", requires = "at")]
    window: Option<String>,
    /// Only this protocol: tcp, udp, sctp, icmp, or a number
    #[arg(long, value_name = "PROTOCOL")]
    proto: Option<String>,
    /// Only connections with this other end
    #[arg(long, value_name = "ADDR[:PORT]")]
    peer: Option<String>,
    /// Only in namespaces whose name matches
    #[arg(long, value_name = "REGEX", add = complete::namespaces())]
    namespace: Option<String>,
    /// The folder of the files [default: where the configuration puts them]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
    /// Show this many of the best [default: 20, with --json 10000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: Option<u32>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let now = ZonedDateTime::now();
    let question = question(arguments, &now).map_err(failure)?;
    let limit = arguments.limit.unwrap_or(if context.json() { 10_000 } else { 20 });
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    for local in &question.local {
        context.output.note(&format!("anetconctl: {local}"));
    }
    if let Some(server) = arguments.database.server()? {
        return fleet(context, &server, &question, limit);
    }
    let sources = sources(context, arguments)?;
    let found = search(&question.query, &sources, limit)
        .map_err(|error| Failure::new(Exit::CannotTell, error).context("cannot look for files"))?;
    context.output.warnings(&view::damage(&found));
    let exit = answer(context, &question, &found, view::nothing)?;
    judge(context, arguments, &question)?;
    Ok(exit)
}

/// Asks the database instead of files.
fn fleet(
    context: &Context,
    server: &Server,
    question: &Question,
    limit: usize,
) -> Result<Exit, Failure> {
    let query = &question.query;
    let found = context.ask(clickhouse::search(server, query, limit, context.patience()))?;
    context.output.warnings(&view::damage(&found));
    let name = server.to_string();
    let nothing = |query: &Query, found: &Found| view::fleet_nothing(query, found, &name);
    let exit = answer(context, question, &found, nothing)?;
    tell(context, &view::fleet_verdict(query.span, &found))?;
    Ok(exit)
}

/// Ends with whether the log is complete for the span that was searched. A ledger that cannot be read says that, too.
fn judge(context: &Context, arguments: &Arguments, question: &Question) -> Result<(), Failure> {
    let folder = state_folder(context, arguments.dir.as_deref())?;
    let pattern = question.query.namespace.as_ref();
    let span = gaps::until_now(question.query.span);
    let line = match ledger::read(&folder, span) {
        Ok(read) => view::verdict(&gaps::verdict(span, pattern, read), span),
        Err(error) => {
            format!("Whether that is complete cannot be told: {}: {error}", folder.display())
        }
    };
    tell(context, &line)
}

/// Prints a line after the answer; beside it where that is JSON.
fn tell(context: &Context, line: &str) -> Result<(), Failure> {
    if context.json() {
        context.output.note(line);
    } else {
        let _ = context.output.print(&format!("{line}\n"))?;
    }
    Ok(())
}

fn answer(
    context: &Context,
    question: &Question,
    found: &Found,
    nothing: impl Fn(&Query, &Found) -> String,
) -> Result<Exit, Failure> {
    if found.hits.is_empty() {
        let text = nothing(&question.query, found);
        if context.json() {
            context.output.note(text.trim_end());
        } else {
            let _ = context.output.print(&text)?;
        }
        let unread = found.files.iter().filter(|file| file.error.is_some()).count();
        let blind = unread > 0 && unread == found.files.len();
        return Ok(if blind { Exit::CannotTell } else { Exit::Wrong });
    }
    let more = found.matched.saturating_sub(found.hits.len() as u64);
    if context.json() && more > 0 {
        context.output.note(&format!("anetconctl: {more} more records fit: raise --limit"));
    }
    let _ = if context.json() {
        let lines: Vec<String> =
            found.hits.iter().zip(1..).map(|(hit, rank)| hit.ranked(rank) + "\n").collect();
        context.output.print(&lines.concat())?
    } else {
        context.output.print(&view::who(&question.query, found))?
    };
    Ok(Exit::Fine)
}

/// What is asked, and how times were understood that were written as local time.
#[derive(Debug)]
struct Question {
    query: Query,
    local: Vec<String>,
}

fn question(given: &Arguments, now: &ZonedDateTime) -> Result<Question, Wrong> {
    let window = given.window.as_deref().unwrap_or("5m");
    let window = length(window).map_err(|refused| ("--window", refused))?;
    let (span, local) = given.times.span(window, now)?;
    let option = |name: &'static str| move |refused| (name, refused);
    let query = Query {
        asked: Asked::parse(&given.asked).map_err(option("ADDR[:PORT]"))?,
        peer: given.peer.as_deref().map(Asked::parse).transpose().map_err(option("--peer"))?,
        span,
        transport: given.proto.as_deref().map(transport).transpose().map_err(option("--proto"))?,
        namespace: given
            .namespace
            .as_deref()
            .map(namespace)
            .transpose()
            .map_err(option("--namespace"))?,
    };
    Ok(Question { query, local })
}

fn sources(context: &Context, arguments: &Arguments) -> Result<Sources, Failure> {
    let Some(folder) = &arguments.dir else {
        return Ok(Sources::configured(&context.configuration_or_default()?));
    };
    if !folder.is_dir() {
        let error = anyhow!("{} is no folder that can be read", folder.display());
        return Err(Failure::new(Exit::CannotTell, error));
    }
    // The files may be another machine's; only their name could be ours.
    let config = context.configuration_or_default().unwrap_or_default();
    Ok(Sources::in_folder(folder, &config.records.file))
}
