//! What the lines of the ledger say together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::entry::{Cause, Channel, Entry, Mark};

/// A gap, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The line that tells of it best: the last one, with the counts of those that came later.
    pub entry: Entry,
    /// From when; it is never unknown.
    pub from: Timestamp,
}

/// A span of time; an end that is missing is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
}

/// All that a ledger says.
#[derive(Debug, Clone, Default)]
pub struct Account {
    gaps: BTreeMap<String, Gap>,
    /// Times without an agent that are settled: their parts say what was missing where.
    settled: BTreeSet<String>,
    since: Option<Timestamp>,
    clock: Vec<Entry>,
}

/// Whether the log is complete for a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Nothing is missing.
    pub complete: bool,
    /// What is missing, the oldest first.
    pub gaps: Vec<Gap>,
    /// Nothing is known of the span before this time; `None`: all of it is known.
    pub unknown_before: Option<Timestamp>,
    /// Nothing at all is known: there is no ledger.
    pub no_ledger: bool,
    /// How often the clock was set in the span.
    pub clock: Vec<Entry>,
}

impl Span {
    /// Whether something that lasts from then to then touches it; what has not ended touches all that comes.
    pub fn touches(&self, from: Timestamp, to: Option<Timestamp>) -> bool {
        self.to.is_none_or(|end| from <= end)
            && self.from.is_none_or(|begin| to.is_none_or(|to| begin <= to))
    }
}

impl Account {
    /// Takes in a line; they come in the order of the file. Lines may come twice: a new file repeats what is open.
    pub fn add(&mut self, entry: Entry) {
        self.since = Some(self.since.map_or(entry.written, |since| since.min(entry.written)));
        match entry.mark {
            Mark::Start | Mark::Stood => {}
            Mark::Clock => self.clock.push(entry),
            Mark::Missed => {
                if let Some(gap) = self.gaps.get_mut(&entry.gap) {
                    gap.missed(entry.connections.unwrap_or(0));
                }
            }
            Mark::End if entry.cause == Some(Cause::AgentDown) && entry.of.is_none() => {
                self.gaps.remove(&entry.gap);
                self.settled.insert(entry.gap);
            }
            Mark::Begin if self.settled.contains(&entry.gap) => {}
            Mark::Begin | Mark::End | Mark::Gap => {
                let from = entry.from.unwrap_or(entry.written);
                self.gaps.insert(entry.gap.clone(), Gap { entry, from });
            }
        }
    }

    /// The gaps that have not ended, whole ones and parts.
    pub fn open(&self) -> impl Iterator<Item = &Gap> {
        self.gaps.values().filter(|gap| gap.entry.to.is_none())
    }

    /// Drops what is over and is not needed, from then to then: a ledger of years is read in little memory.
    pub fn forget(&mut self, is_needed: impl Fn(Timestamp, Timestamp) -> bool) {
        self.gaps.retain(|_, gap| gap.entry.to.is_none_or(|to| is_needed(gap.from, to)));
        self.clock.retain(|entry| is_needed(entry.written, entry.written));
    }

    /// No agent gives a sign of life since then, and none has said that it ends: that is a gap that nobody could write.
    pub fn silent_since(&mut self, time: Timestamp, boot_id: &str) {
        let told = self.open().any(|gap| gap.entry.cause == Some(Cause::AgentDown));
        if told {
            return;
        }
        let mut entry = Entry::new(Mark::Begin, "now".to_owned(), time, boot_id);
        entry.cause = Some(Cause::AgentDown);
        entry.channels = vec![Channel::KernelLog, Channel::Records];
        entry.from = Some(time);
        self.gaps.insert(entry.gap.clone(), Gap { entry, from: time });
    }

    /// Whether something is missing of a span, in namespaces that `is_asked` names.
    pub fn verdict(&self, span: Span, is_asked: impl Fn(&str) -> bool) -> Verdict {
        let mut gaps: Vec<Gap> = self
            .gaps
            .values()
            .filter(|gap| gap.entry.namespace.as_deref().is_none_or(&is_asked))
            .filter(|gap| span.touches(gap.from, gap.entry.to) && gap.is_loss())
            .cloned()
            .collect();
        gaps.sort_by(|one, other| {
            (one.from, &one.entry.namespace).cmp(&(other.from, &other.entry.namespace))
        });
        let unknown_before = self.since.filter(|since| span.from.is_some_and(|from| from < *since));
        let no_ledger = self.since.is_none();
        let inside = |entry: &&Entry| span.touches(entry.written, Some(entry.written));
        Verdict {
            complete: gaps.is_empty() && unknown_before.is_none() && !no_ledger,
            gaps,
            unknown_before,
            no_ledger,
            clock: self.clock.iter().filter(inside).cloned().collect(),
        }
    }
}

impl Gap {
    /// So many connections are on record that the kernel log lacks. Where there are any, connections were tracked, so the
    /// records are whole.
    fn missed(&mut self, connections: u64) {
        self.entry.connections = Some(connections);
        if connections > 0 {
            self.entry.channels.retain(|channel| *channel != Channel::Records);
        }
    }

    /// A failure that is over and is known to have cost nothing is none.
    fn is_loss(&self) -> bool {
        self.entry.to.is_none() || self.entry.lost != Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn line(mark: Mark, gap: &str, cause: Cause, from: i64, to: Option<i64>) -> Entry {
        let mut entry = Entry::new(mark, gap.to_owned(), at(to.unwrap_or(from)), "b");
        entry.cause = Some(cause);
        entry.namespace = Some("qrouter-1".to_owned());
        entry.channels = vec![Channel::KernelLog, Channel::Records];
        (entry.from, entry.to) = (Some(at(from)), to.map(at));
        entry
    }

    fn account(lines: impl IntoIterator<Item = Entry>) -> Account {
        let mut account = Account::default();
        account.add(Entry::new(Mark::Start, "r/0".to_owned(), at(0), "b"));
        lines.into_iter().for_each(|entry| account.add(entry));
        account
    }

    fn span(from: i64, to: i64) -> Span {
        Span { from: Some(at(from)), to: Some(at(to)) }
    }

    #[test]
    fn a_gap_touches_what_it_overlaps() {
        let ended = account([
            line(Mark::Begin, "r/1", Cause::Wiped, 100, None),
            line(Mark::End, "r/1", Cause::Wiped, 100, Some(200)),
        ]);
        let open = account([line(Mark::Begin, "r/1", Cause::Wiped, 100, None)]);
        let cases = [
            (10, 99, true, true),
            (10, 100, false, false),
            (120, 130, false, false),
            (200, 300, false, false),
            (201, 300, true, false),
        ];
        for (from, to, after_end, while_open) in cases {
            let complete = |account: &Account| account.verdict(span(from, to), |_| true).complete;
            assert_eq!((complete(&ended), complete(&open)), (after_end, while_open), "{from} {to}");
        }
        assert!(ended.verdict(span(10, 300), |name| name == "qrouter-2").complete);
        assert!(!ended.verdict(Span::default(), |_| true).complete);
    }

    #[test]
    fn before_the_first_line_nothing_is_known() {
        let account = account([]);
        assert_eq!(account.verdict(span(-5, 5), |_| true).unknown_before, Some(at(0)));
        assert!(account.verdict(span(0, 5), |_| true).complete);
        let none = Account::default().verdict(span(0, 5), |_| true);
        assert!(none.no_ledger && !none.complete);
    }

    #[test]
    fn the_time_without_an_agent_is_told_by_its_parts() {
        let mut down = line(Mark::Begin, "r/1", Cause::AgentDown, 10, None);
        down.namespace = None;
        let mut part = line(Mark::Gap, "s/1", Cause::AgentDown, 10, Some(20));
        part.of = Some("r/1".to_owned());
        let mut stood = line(Mark::Stood, "s/2", Cause::AgentDown, 10, Some(20));
        stood.namespace = Some("qrouter-2".to_owned());
        let mut end = down.clone();
        (end.mark, end.to) = (Mark::End, Some(at(30)));

        let starting = account([down.clone(), part.clone(), stood.clone()]);
        assert!(!starting.verdict(span(25, 26), |name| name == "qrouter-2").complete);
        // The first file after a rotation repeats what was open.
        let over = account([down.clone(), part, stood, end, down]);
        assert!(over.verdict(span(5, 40), |name| name == "qrouter-2").complete);
        assert!(!over.verdict(span(5, 40), |name| name == "qrouter-1").complete);
        assert!(over.verdict(span(21, 40), |_| true).complete);
    }

    /// Whenever something is forgotten, it is nothing that the span is about.
    #[test]
    fn what_is_forgotten_changes_no_verdict() {
        let mut clock = line(Mark::Clock, "", Cause::Wiped, 35, Some(36));
        clock.cause = None;
        let mut down = line(Mark::Begin, "s/1", Cause::AgentDown, 40, None);
        down.namespace = None;
        let mut missed = Entry::new(Mark::Missed, "r/1".to_owned(), at(31), "b");
        missed.connections = Some(2);
        let lines = [
            line(Mark::Begin, "r/1", Cause::Wiped, 10, None),
            line(Mark::Gap, "r/2", Cause::Born, 12, Some(13)),
            line(Mark::End, "r/1", Cause::Wiped, 10, Some(30)),
            missed,
            clock,
            down.clone(),
            line(Mark::Begin, "r/3", Cause::Unreachable, 45, None),
            Entry { mark: Mark::End, to: Some(at(50)), ..down },
        ];
        for (from, to) in (0..60).flat_map(|from| (from..60).map(move |to| (from, to))) {
            let (span, mut forgetful) = (span(from, to), account([]));
            for line in lines.clone() {
                forgetful.add(line);
                forgetful.forget(|from, to| span.touches(from, Some(to)));
            }
            let whole = account(lines.clone()).verdict(span, |_| true);
            assert_eq!(forgetful.verdict(span, |_| true), whole, "{from} {to}");
        }
    }

    #[test]
    fn an_agent_that_was_killed_is_missed() {
        let mut account = account([]);
        account.silent_since(at(50), "b");
        assert!(account.verdict(span(1, 49), |_| true).complete);
        assert!(!account.verdict(span(1, 51), |_| true).complete);
    }

    #[test]
    fn records_of_the_time_prove_that_connections_were_tracked() {
        let gap = line(Mark::Gap, "r/1", Cause::Wiped, 10, Some(20));
        for (connections, left) in [(0, 2), (3, 1)] {
            let mut missed = Entry::new(Mark::Missed, "r/1".to_owned(), at(21), "b");
            missed.connections = Some(connections);
            let verdict = account([gap.clone(), missed]).verdict(Span::default(), |_| true);
            assert_eq!(verdict.gaps[0].entry.channels.len(), left);
            assert_eq!(verdict.gaps[0].entry.connections, Some(connections));
        }
    }

    #[test]
    fn a_failure_that_cost_nothing_is_no_gap() {
        let mut full = line(Mark::Gap, "r/1", Cause::DiskFull, 10, Some(20));
        full.lost = Some(0);
        assert!(account([full.clone()]).verdict(Span::default(), |_| true).complete);
        full.lost = Some(1);
        assert!(!account([full]).verdict(Span::default(), |_| true).complete);
    }
}
