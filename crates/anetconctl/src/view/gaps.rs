//! Whether the log is complete, in one line, and what is missing.

use std::path::PathBuf;

use anetcon_core::ledger::{Culprit, Gap, Span, Verdict};
use jiff::Timestamp;

use super::clean::word;
use super::style::{BAD, BOLD, DIM, GOOD, paint};

/// One line: complete or not, for which time.
pub fn verdict(verdict: &Verdict, span: Span) -> String {
    let when = when(span);
    if verdict.no_ledger {
        return format!("{} {when}: there is no ledger", paint(BAD, "Not known to be complete"));
    }
    if verdict.complete {
        let clock = match verdict.clock.len() {
            0 => "",
            _ => " (the clock was set meanwhile: see the ledger)",
        };
        return format!("{} {when}{clock}", paint(GOOD, "Complete"));
    }
    let mut why = Vec::new();
    match verdict.gaps.len() {
        0 => {}
        1 => why.push("1 gap".to_owned()),
        count => why.push(format!("{count} gaps")),
    }
    if let Some(before) = verdict.unknown_before {
        why.push(format!("nothing is known of the time before {}", time(before)));
    }
    format!("{} {when}: {}", paint(BAD, "Not complete"), why.join(", "))
}

/// The verdict, and every gap.
pub fn gaps(judged: &Verdict, span: Span) -> String {
    let mut text = verdict(judged, span) + "\n";
    for gap in &judged.gaps {
        text.push_str(&one(gap));
    }
    for entry in &judged.clock {
        if let (Some(before), Some(after)) = (entry.from, entry.to) {
            let (before, after) = (time(before), time(after));
            text.push_str(
                &paint(DIM, format!("the clock was set from {before} to {after}")).to_string(),
            );
            text.push('\n');
        }
    }
    text
}

/// Lines that are none.
pub fn damaged_ledger(damaged: &[(PathBuf, u64)]) -> Vec<String> {
    let one = |(path, lines): &(PathBuf, u64)| {
        format!("{}: {lines} damaged lines were passed over", path.display())
    };
    damaged.iter().map(one).collect()
}

fn one(gap: &Gap) -> String {
    let entry = &gap.entry;
    let namespace = entry.namespace.as_deref().map_or_else(|| "all namespaces".to_owned(), word);
    let cause = entry.cause.map(|cause| cause.to_string()).unwrap_or_default();
    let until = match entry.to {
        Some(to) => format!("to {} ({})", time(to), length(gap.from, to)),
        None => "and it has not ended".to_owned(),
    };
    let channels: Vec<String> = entry.channels.iter().map(ToString::to_string).collect();
    let head = format!("{namespace}: {cause}");
    let mut text = format!("{} from {} {until}\n", paint(BOLD, head), time(gap.from));
    let mut about = vec![format!("missing: {}", channels.join(" and "))];
    about.extend(entry.file.as_ref().map(|file| format!("file: {}", word(file))));
    about.extend((!entry.culprits.is_empty()).then(|| format!("by {}", culprits(&entry.culprits))));
    about.extend((!entry.reasons.is_empty()).then(|| word(&entry.reasons.join(", "))));
    about.extend(entry.lost.map(|lost| format!("{lost} lines or records are gone")));
    about.extend(entry.connections.filter(|count| *count > 0).map(|count| {
        format!("{count} connections of that time are in the session records: `anetconctl who` finds them")
    }));
    for line in about {
        text.push_str(&format!("  {}\n", paint(DIM, line)));
    }
    text
}

fn culprits(culprits: &[Culprit]) -> String {
    let one = |culprit: &Culprit| {
        let mut text = format!("{} (thread {}", word(&culprit.process), culprit.tid);
        text.extend(culprit.uid.map(|uid| format!(", uid {uid}")));
        text.push(')');
        text.extend(culprit.command.as_ref().map(|command| format!(": {}", word(command))));
        text
    };
    culprits.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn when(span: Span) -> String {
    match (span.from, span.to) {
        (None, None) => "until now".to_owned(),
        (Some(from), None) => format!("from {} until now", time(from)),
        (None, Some(to)) => format!("up to {}", time(to)),
        (Some(from), Some(to)) => format!("from {} to {}", time(from), time(to)),
    }
}

fn time(time: Timestamp) -> String {
    format!("{time:.3}")
}

fn length(from: Timestamp, to: Timestamp) -> String {
    let length = to.duration_since(from);
    match length.as_millis() {
        0..10 => format!("{} us", length.as_micros()),
        10..10_000 => format!("{} ms", length.as_millis()),
        _ => format!("{} s", length.as_secs()),
    }
}
