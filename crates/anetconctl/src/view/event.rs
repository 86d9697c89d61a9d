//! One event as one line.

use anetcon_api::{Author, Event, Happening, RepairKind};

use super::clean::{lines as clean_lines, word};
use super::style::{BAD, BOLD, GOOD, ODD, paint};
use super::time;

/// Time, namespace and what happened. The text after the first line of a configuration error is indented.
pub fn event(event: &Event) -> String {
    let what = what(&event.happening);
    let time = time::millisecond(&event.time);
    match &event.namespace {
        Some(name) => format!("{time}  {}  {what}\n", paint(BOLD, word(name))),
        None => format!("{time}  {what}\n"),
    }
}

/// `restored in 0.4 ms: chain flushed (by nft, thread 3173)`.
pub fn repair(kind: RepairKind, took_us: u64, reasons: &[String], authors: &[Author]) -> String {
    let done = match kind {
        RepairKind::Installed => "installed",
        RepairKind::Repaired => "restored",
    };
    let mut text = format!("{done} in {}", time::took(took_us));
    if !reasons.is_empty() {
        let reasons: Vec<String> = reasons.iter().map(|reason| word(reason)).collect();
        text.push_str(&format!(": {}", reasons.join(", ")));
    }
    text + &by(authors)
}

fn by(authors: &[Author]) -> String {
    let authors: Vec<String> = authors
        .iter()
        .map(|author| format!("{}, thread {}", word(&author.name), author.tid))
        .collect();
    if authors.is_empty() { String::new() } else { format!(" (by {})", authors.join("; ")) }
}

fn what(happening: &Happening) -> String {
    let bad = |what: &str, error: &str| {
        format!("{}: {}", paint(BAD, what), clean_lines(error).replace('\n', "\n    "))
    };
    match happening {
        Happening::Appeared => "appeared".to_owned(),
        Happening::Vanished => "vanished".to_owned(),
        Happening::Audited { took_us } => {
            format!("{} after {}", paint(GOOD, "audited"), time::took(*took_us))
        }
        Happening::Repaired { reasons, took_us, authors, kind } => {
            paint(ODD, repair(*kind, *took_us, reasons, authors))
        }
        Happening::Failed { error } => bad("not audited", error),
        Happening::Recovered => paint(GOOD, "audited again"),
        Happening::Fighting { delay_ms, authors } => {
            let by = by(authors);
            let what = paint(BAD, "somebody keeps changing our rules");
            format!("{what}{by}; next repair in {delay_ms} ms")
        }
        Happening::FightingEnded => paint(GOOD, "nobody changes our rules any more"),
        Happening::Reloaded { changes } if changes.is_empty() => {
            "configuration reloaded, nothing changed".to_owned()
        }
        Happening::Reloaded { changes } => {
            let changes: Vec<String> = changes.iter().map(|change| word(change)).collect();
            format!("configuration reloaded: {}", changes.join(", "))
        }
        Happening::ReloadFailed { error } => bad("the configuration could not be reloaded", error),
        Happening::NfLogAllNetns { value, ok, error } => sysctl(*value, *ok, error.as_deref()),
        Happening::KernelLinesLost { lines } => {
            paint(BAD, format_args!("the kernel log lost {lines} lines before we could read them"))
        }
        Happening::LogWriteError { error } => bad("log lines cannot be written", error),
        Happening::LogWriteRecovered { unwritable_lines } => {
            let what = paint(GOOD, "log lines can be written again");
            format!("{what}; {unwritable_lines} were lost")
        }
        Happening::EventsMissed { count } => {
            paint(ODD, format_args!("{count} events were missed: this reader is too slow"))
        }
        Happening::Unknown => "something that this version does not know: see `--json`".to_owned(),
    }
}

fn sysctl(value: Option<u8>, ok: bool, error: Option<&str>) -> String {
    let value = value.map_or("unknown".to_owned(), |value| value.to_string());
    let style = if ok { GOOD } else { BAD };
    let text = paint(style, format_args!("nf_log_all_netns is {value}"));
    let loss = if ok { "" } else { "; lines are being lost" };
    let error = error.map(|error| format!(": {}", word(error))).unwrap_or_default();
    format!("{text}{loss}{error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_names_its_culprit_and_cannot_forge_a_line() {
        let author = |name: &str| Author { name: name.into(), tid: 3173 };
        let line = |reasons: &[&str], authors: &[Author]| {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            repair(RepairKind::Repaired, 410, &reasons, authors)
        };
        assert_eq!(
            line(&["chain flushed"], &[author("nft")]),
            "restored in 0.4 ms: chain flushed (by nft, thread 3173)"
        );
        assert_eq!(line(&[], &[]), "restored in 0.4 ms");
        assert_eq!(line(&[], &[author("a\nb")]), "restored in 0.4 ms (by a\\nb, thread 3173)");
    }

    #[test]
    fn every_event_is_one_line() {
        let happenings = [
            Happening::Appeared,
            Happening::Vanished,
            Happening::Audited { took_us: 900 },
            Happening::Failed { error: "cannot enter".into() },
            Happening::Recovered,
            Happening::Fighting {
                delay_ms: 8,
                authors: vec![Author { name: "nft".into(), tid: 7 }],
            },
            Happening::FightingEnded,
            Happening::Reloaded { changes: vec![] },
            Happening::Reloaded { changes: vec!["period: 30 -> 60".into()] },
            Happening::NfLogAllNetns { value: Some(0), ok: false, error: Some("EROFS".into()) },
            Happening::KernelLinesLost { lines: 12 },
            Happening::LogWriteError { error: "ENOSPC".into() },
            Happening::LogWriteRecovered { unwritable_lines: 3 },
            Happening::EventsMissed { count: 5 },
            Happening::Unknown,
        ];
        let lines: String = happenings
            .into_iter()
            .map(|happening| {
                let time = "2026-11-23T16:00:05.123456Z".into();
                let namespace = Some("q".to_owned());
                let line =
                    event(&Event { schema: anetcon_api::Schema, time, namespace, happening });
                anstream::adapter::strip_str(&line).to_string().split_off(29)
            })
            .collect();
        insta::assert_snapshot!(lines);
    }
}
