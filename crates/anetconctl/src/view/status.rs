//! The status screen: what is wrong first, then everything else in a few lines.

use anetcon_api::{
    ConfigurationStatus, FailedNamespace, LedgerStatus, LogStatus, LogWriter, NfLogAllNetns,
    Protection, Repairs, Status, Unaccounted,
};
use jiff::Timestamp;

use super::clean::{lines as clean_lines, word};
use super::columns::{Cell, aligned};
use super::config::with_drop_ins;
use super::event::repair;
use super::list::state;
use super::style::{BAD, BOLD, DIM, GOOD, ODD, paint};
use super::time;

/// As many failed namespaces and repairs as fit on one screen; the rest is in `list` and `watch`.
const SHOWN: usize = 5;

/// One screen.
pub fn status(status: &Status, now: Timestamp) -> String {
    let mut text = headline(status);
    text.push_str(&failed(&status.failed, now));
    text.push_str(&facts(status, now));
    text.push_str(&repairs(&status.repairs));
    text
}

/// One line for health checks.
pub fn brief(status: &Status) -> String {
    let counts = status.namespaces;
    let audited = format!("{} of {} namespaces audited", counts.audited, counts.selected);
    if status.verdict.ok {
        return format!("{}: {audited}\n", paint(GOOD, "ok"));
    }
    let mut parts = vec![audited];
    parts.extend(status.verdict.problems.iter().map(|problem| word(problem)));
    format!("{}: {}\n", paint(BAD, "problem"), parts.join("; "))
}

fn headline(status: &Status) -> String {
    let counts = status.namespaces;
    if !status.verdict.ok {
        let bullets = status.verdict.problems.iter();
        let bullets: String = bullets.map(|problem| format!("  - {}\n", word(problem))).collect();
        return format!("{}\n{bullets}", paint(BAD, "Something is wrong:"));
    }
    let headline = match counts.selected {
        0 => paint(ODD, "Nothing to audit: no namespace matches the configuration."),
        1 => paint(GOOD, "All is well: 1 namespace is audited."),
        many => paint(GOOD, format_args!("All is well: {many} namespaces are audited.")),
    };
    format!("{headline}\n")
}

fn failed(failed: &[FailedNamespace], now: Timestamp) -> String {
    let rows: Vec<_> = failed.iter().take(SHOWN).map(|netns| failed_row(netns, now)).collect();
    let mut text = aligned("  ", &rows);
    if failed.len() > SHOWN {
        text.push_str(&format!("  and {} more: see `anetconctl list`\n", failed.len() - SHOWN));
    }
    if text.is_empty() { text } else { format!("\n{}\n{text}", paint(BOLD, "Not audited")) }
}

fn failed_row(netns: &FailedNamespace, now: Timestamp) -> Vec<Cell> {
    let (name, style) = state(netns.state);
    // While it waits there may be no error yet.
    let error = netns.error.as_deref().map(word).unwrap_or_default();
    vec![
        Cell::new(word(&netns.name)).style(BOLD),
        Cell::new(name).style(style),
        Cell::new(time::since(&netns.since, now)),
        Cell::new(error),
    ]
}

fn facts(status: &Status, now: Timestamp) -> String {
    let counts = status.namespaces;
    let connections = status.connections;
    let rows = [
        (
            "Namespaces",
            format!(
                "{} selected, {} audited, {} failed, {} fighting",
                counts.selected, counts.audited, counts.failed, counts.fighting
            ),
        ),
        ("Connections", format!("{} float, {} nat", connections.float, connections.nat)),
        ("Kernel log", nf_log(&status.nf_log_all_netns)),
        ("Log files", log(&status.log)),
        ("", lines(&status.log)),
        ("Records", super::records::file(&status.records)),
        ("", super::records::counts(&status.records)),
        ("Balance", balance(status.unaccounted)),
        ("Gaps", gaps(&status.ledger)),
        ("Protection", protection(status.protection).to_owned()),
        ("Configuration", configuration(&status.configuration)),
        (
            "Agent",
            format!(
                "{}, pid {}, since {}, sweeps every {} s",
                word(&status.version),
                status.pid,
                time::since(&status.started, now),
                status.period_seconds
            ),
        ),
    ];
    let rows: Vec<Vec<Cell>> = rows
        .into_iter()
        .filter(|(_, fact)| !fact.is_empty())
        .map(|(name, fact)| vec![Cell::new(name).style(BOLD), Cell::new(fact)])
        .collect();
    format!("\n{}", aligned("", &rows))
}

/// What it means.
pub(super) fn protection(protection: Protection) -> &'static str {
    match protection {
        Protection::Plain => "plain: others can wipe our tables, they are put back at once",
        Protection::Owned => "owned: nobody else can wipe our tables, which go when the agent dies",
        Protection::Persistent => {
            "persistent: nobody else can wipe our tables, which stay when the agent dies"
        }
        Protection::Stored => {
            "stored: nobody else can wipe our tables, not even while the agent is dead"
        }
    }
}

fn balance(unaccounted: Unaccounted) -> String {
    match unaccounted {
        Unaccounted { lines: 0, records: 0 } => {
            "every connection that the kernel counted was told of".to_owned()
        }
        Unaccounted { lines, records } => paint(
            BAD,
            format_args!(
                "{lines} counted connections without a line, {records} without a record, see `anetconctl gaps`"
            ),
        ),
    }
}

fn gaps(ledger: &LedgerStatus) -> String {
    if let Some(error) = &ledger.error {
        return paint(BAD, word(error));
    }
    match ledger.open {
        0 => "none now, see `anetconctl gaps` for those that are over".to_owned(),
        open => paint(BAD, format_args!("{open} now, see `anetconctl gaps`")),
    }
}

fn nf_log(sysctl: &NfLogAllNetns) -> String {
    let value = sysctl.value.map_or("unknown".to_owned(), |value| value.to_string());
    let mut text = format!("nf_log_all_netns = {value}");
    if !sysctl.ok {
        text = paint(BAD, text);
    }
    if sysctl.set_by_us {
        text.push_str(", set by the agent");
    }
    if sysctl.resets > 0 {
        let times = if sysctl.resets == 1 { "time" } else { "times" };
        text.push_str(&format!(", reset by others {} {times}", sysctl.resets));
    }
    if let Some(error) = &sysctl.error {
        text.push_str(&format!(": {}", word(error)));
    }
    text
}

fn log(log: &LogStatus) -> String {
    let writer = match log.writer {
        LogWriter::Rsyslog => "rsyslog",
        LogWriter::Agent => "the agent",
    };
    let mut text = format!("{}, written by {writer}", word(&log.directory));
    if let Some(error) = &log.last_error {
        text.push_str(&format!(", {}", paint(BAD, word(error))));
    }
    text
}

/// What the agent counted; empty where it does not write.
fn lines(log: &LogStatus) -> String {
    let written = |count: Option<u64>, what: &str| count.map(|count| format!("{count} {what}"));
    let lost = |count: Option<u64>, place: &str| match count {
        None | Some(0) => None,
        Some(count) => Some(paint(BAD, format_args!("{count} lines lost {place}"))),
    };
    let mut parts: Vec<String> = [
        written(log.float_lines, "float lines"),
        written(log.nat_lines, "nat lines"),
        lost(log.kernel_lines_lost, "in the kernel log"),
        lost(log.unwritable_lines, "in writing"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if (log.kernel_lines_lost, log.unwritable_lines) == (Some(0), Some(0)) {
        parts.push("none lost".to_owned());
    }
    match &log.since {
        Some(since) if !parts.is_empty() => {
            format!("{} since {}", parts.join(", "), time::second(since))
        }
        _ => parts.join(", "),
    }
}

fn configuration(configuration: &ConfigurationStatus) -> String {
    let file = configuration.file.as_deref().map_or("defaults, no file".to_owned(), word);
    let over = with_drop_ins(configuration.drop_ins.len());
    let mut text = format!("{file}{over}, loaded {}", time::second(&configuration.loaded));
    if let Some(error) = &configuration.last_error {
        let error = clean_lines(error).replace('\n', "\n    ");
        text.push_str(&format!("\n  {}\n    {error}", paint(BAD, "the last reload failed:")));
    }
    text
}

fn repairs(repairs: &Repairs) -> String {
    let title = paint(BOLD, "Repairs");
    if repairs.last.is_empty() {
        return format!("{title}        {}\n", paint(DIM, "none so far"));
    }
    let rows: Vec<Vec<Cell>> = repairs
        .last
        .iter()
        .take(SHOWN)
        .map(|last| {
            vec![
                Cell::new(time::millisecond(&last.time)),
                Cell::new(word(&last.namespace)).style(BOLD),
                Cell::new(repair(last.kind, last.took_us, &last.reasons, &last.authors)),
            ]
        })
        .collect();
    format!("\n{title} ({} so far, newest first)\n{}", repairs.total, aligned("  ", &rows))
}
