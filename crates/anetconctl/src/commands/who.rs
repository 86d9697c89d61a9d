//! `who`: which instance had this address and port, then. Reads the files itself; the agent need not run.

use std::path::PathBuf;

use anetcon_records::search::{
    Asked, Found, Moment, Query, Refused, Sources, Span, length, namespace, search, transport,
};
use anyhow::anyhow;
use clap::Args;
use jiff::ZonedDateTime;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::view;

const HELP: &str = "\
Times: 2026-11-23T14:03:10Z, '2026-11-23 14:03:10' (local time), -2h, or seconds since 1970.
Finds connections that were opened in the time asked for; one that was opened earlier and was still open needs a wider
--window. Where there is no session record of a time, the kernel log lines of it are searched, which show one side only.

Examples:
  anetconctl who 203.0.113.7:41022 --at 2026-11-23T14:03:10Z
  anetconctl who '[2001:db8::7]:41022' --from -2h --peer 198.51.100.9:443
  anetconctl who 203.0.113.7 --dir /evidence/net1 --json | jq -c '[.anetcon.namespace, .source]'

Exit codes:
  0   found
  1   nothing found
  2   wrong usage
  4   no file could be read
  78  the configuration is bad";

/// Tell which instance had an outside address and port at a time
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The address, and the port if it is known; IPv6 with a port in brackets
    #[arg(value_name = "ADDR[:PORT]")]
    asked: String,
    /// When it was seen
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with_all = ["from", "to"])]
    at: Option<String>,
    /// Only connections from this time on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Only connections up to this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
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
    #[arg(long, value_name = "REGEX")]
    namespace: Option<String>,
    /// The folder of the files [default: where the configuration puts them]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Show this many of the best [default: 20, with --json 10000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: Option<u32>,
}

pub fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let now = ZonedDateTime::now();
    let question = question(arguments, &now).map_err(|(option, refused)| {
        let text = view::refused(option, &refused);
        let failure = Failure::new(Exit::Usage, anyhow!(text));
        match refused.help {
            Some(help) => failure.help(help),
            None => failure,
        }
    })?;
    let sources = sources(context, arguments)?;
    let limit = arguments.limit.unwrap_or(if context.json() { 10_000 } else { 20 });
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = search(&question.query, &sources, limit)
        .map_err(|error| Failure::new(Exit::CannotTell, error).context("cannot look for files"))?;
    for local in &question.local {
        context.output.note(&format!("anetconctl: {local}"));
    }
    context.output.warnings(&view::damage(&found));
    answer(context, &question, &found)
}

fn answer(context: &Context, question: &Question, found: &Found) -> Result<Exit, Failure> {
    if found.hits.is_empty() {
        let text = view::nothing(&question.query, found);
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

type Wrong = (&'static str, Refused);

fn question(given: &Arguments, now: &ZonedDateTime) -> Result<Question, Wrong> {
    let mut local = Vec::new();
    let mut time = |option: &'static str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => {
            let moment = Moment::parse(text, now).map_err(|refused| (option, refused))?;
            local.extend(moment.local.then(|| view::local_time(option, moment.time, now)));
            Ok(Some(moment.time))
        }
    };
    let (at, from, to) =
        (time("--at", &given.at)?, time("--from", &given.from)?, time("--to", &given.to)?);
    let window = given.window.as_deref().unwrap_or("5m");
    let window = length(window).map_err(|refused| ("--window", refused))?;
    let span = match at {
        Some(at) => Span::around(at, window),
        None => Span { from, to, at: None },
    };
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        let text = given.to.as_deref().unwrap_or_default();
        return Err(("--to", Refused::whole(text, "this is before --from")));
    }
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
