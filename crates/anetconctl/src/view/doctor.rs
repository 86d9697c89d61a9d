//! Findings: what is wrong with the line that mends it, then what cannot be told, then what is fine.

use super::clean::word;
use super::columns::{Cell, aligned};
use super::style::{AnsiStyle, BAD, BOLD, DIM, GOOD, ODD, paint};
use crate::doctor::{Finding, State};

/// In this order, with a word for each.
const STATES: [(State, &str, AnsiStyle); 4] = [
    (State::Wrong, "wrong", BAD),
    (State::CannotTell, "unknown", ODD),
    (State::Ok, "ok", GOOD),
    (State::NotUsed, "not used", DIM),
];

/// One line for each, and one more for what mends it.
pub fn doctor(findings: &[Finding]) -> String {
    let in_order = || {
        let with = |state| findings.iter().filter(move |finding| finding.state == state);
        STATES.into_iter().flat_map(move |(state, name, style)| {
            with(state).map(move |finding| (finding, Cell::new(name).style(style)))
        })
    };
    let rows: Vec<Vec<Cell>> = in_order()
        .map(|(finding, state)| {
            vec![state, Cell::new(finding.check).style(BOLD), Cell::new(word(&finding.found))]
        })
        .collect();
    let mut text = String::new();
    for (line, (finding, _)) in aligned("", &rows).lines().zip(in_order()) {
        text.push_str(&format!("{line}\n"));
        if let Some(fix) = &finding.fix {
            text.push_str(&format!("          {} {}\n", paint(DIM, "mend:"), word(fix)));
        }
    }
    let wrong = findings.iter().filter(|finding| finding.state == State::Wrong).count();
    text.push_str(&match wrong {
        0 => format!("{}\n", paint(GOOD, "Nothing is wrong, as far as can be told.")),
        1 => format!("{}\n", paint(BAD, "1 thing is wrong.")),
        many => format!("{}\n", paint(BAD, format!("{many} things are wrong."))),
    });
    text
}
