//! Rotated files: what was altered, removed or added.

use anetcon_records::manifest::{Chain, Finding, Report, State};

use super::clean::word;
use super::style::{BAD, BOLD, DIM, GOOD, paint};

/// One line: intact or not.
pub fn manifest_verdict(report: &Report) -> String {
    let files = report.findings.iter().filter(|finding| finding.state == State::Intact).count();
    if report.is_intact() {
        return format!("{}: {files} rotated files are as they were listed", paint(GOOD, "Intact"));
    }
    let wrong = report.findings.iter().filter(|finding| is_wrong(&finding.state)).count();
    let chain = if report.faults.is_empty() && !report.head_unknown {
        String::new()
    } else {
        ", and the manifest itself is not what it was".to_owned()
    };
    format!(
        "{}: {files} files are as they were listed, {wrong} are not{chain}",
        paint(BAD, "Not intact")
    )
}

/// The verdict, and everything that is wrong.
pub fn manifest_report(report: &Report) -> String {
    let mut text = manifest_verdict(report) + "\n";
    for fault in &report.faults {
        text.push_str(&format!("  {}\n", paint(BAD, fault)));
    }
    if report.head_unknown {
        let words = "no entry has the head that was asked for: the end was cut off, or the manifest was written anew";
        text.push_str(&format!("  {}\n", paint(BAD, words)));
    }
    for finding in report.findings.iter().filter(|finding| is_wrong(&finding.state)) {
        text.push_str(&one(finding));
    }
    let expired = report.findings.iter().filter(|finding| finding.state == State::Expired).count();
    if expired > 0 {
        let words =
            format!("{expired} listed files are older than everything that is left: rotated out");
        text.push_str(&format!("{}\n", paint(DIM, words)));
    }
    text.push_str(&format!("{}\n", paint(DIM, format!("head {}", report.head))));
    text
}

/// The entries, and the head.
pub fn manifest_list(chain: &Chain) -> String {
    let mut text = String::new();
    for entry in &chain.entries {
        let late = if entry.late { ", listed late" } else { "" };
        let span = match (entry.first, entry.last) {
            (Some(first), Some(last)) => format!(", {:.0} to {:.0}", first.0, last.0),
            _ => String::new(),
        };
        text.push_str(&format!(
            "{} {}: {} lines, {} bytes{span}{late}\n",
            entry.sha256,
            paint(BOLD, word(&entry.file)),
            entry.lines,
            entry.bytes
        ));
    }
    text.push_str(&format!("head {}\n", chain.head));
    text
}

/// The state in one word, for scripts.
pub fn state_word(state: &State) -> &'static str {
    match state {
        State::Intact => "intact",
        State::Altered => "altered",
        State::Missing => "missing",
        State::Expired => "expired",
        State::Unlisted => "unlisted",
        State::Unreadable(_) => "unreadable",
    }
}

fn is_wrong(state: &State) -> bool {
    !matches!(state, State::Intact | State::Expired)
}

fn one(finding: &Finding) -> String {
    let file = word(&finding.file.display().to_string());
    let listed = finding.entry.as_ref();
    let listed =
        listed.map(|entry| format!("listed as {} at {:.0}", word(&entry.file), entry.listed.0));
    let listed = listed.unwrap_or_default();
    let about = match &finding.state {
        State::Altered => format!("altered since it was {listed}"),
        State::Missing => format!("missing; {listed}"),
        State::Unlisted => {
            "not listed: added, or rotated away within the last minute, or while no agent ran"
                .to_owned()
        }
        State::Unreadable(error) => format!("cannot be read: {}", word(error)),
        State::Intact | State::Expired => listed,
    };
    format!("  {}: {about}\n", paint(BOLD, file))
}
