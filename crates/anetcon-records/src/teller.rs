//! The capture thread's side of counters, health and events.

use std::error::Error;

use jiff::Timestamp;

use anetcon_core::prefix::Kind;

use crate::counters::Part;
use crate::counters::{Event, Shared};
use crate::health::Health;

/// Whom events are told.
pub(crate) type OnEvent = Box<dyn FnMut(Event) + Send>;

/// Counts, and tells what begins and ends.
pub(crate) struct Teller {
    counters: Shared,
    on_event: OnEvent,
    health: Health,
    /// Lost records that were not told yet.
    lost: Option<Lost>,
}

/// A hole in the kernel log, or several that are told as one.
#[derive(Debug, Clone, Copy)]
struct Lost {
    records: u64,
    from: Option<Timestamp>,
    to: Timestamp,
}

impl Teller {
    pub(crate) fn new(counters: Shared, on_event: OnEvent) -> Self {
        Self { counters, on_event, health: Health::default(), lost: None }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        (self.on_event)(event);
    }

    pub(crate) fn failed(&mut self, part: Part, error: &dyn Error, unwritten: u64) {
        let event = self.health.failed(part, error, unwritten);
        self.counters.update(|counters| counters.unwritten += unwritten);
        self.publish(event);
    }

    pub(crate) fn works(&mut self, part: Part) {
        if let Some(event) = self.health.works(part) {
            self.publish(Some(event));
        }
    }

    fn publish(&mut self, event: Option<Event>) {
        let error = self.health.error().map(str::to_owned);
        self.counters.update(|counters| counters.error = error);
        if let Some(event) = event {
            self.tell(event);
        }
    }

    pub(crate) fn written(&self, kind: Kind, lines: u64, last: Option<Timestamp>) {
        self.counters.update(|counters| {
            let count = match kind {
                Kind::Float => &mut counters.float,
                Kind::Nat => &mut counters.nat,
            };
            *count += lines;
            if lines > 0 {
                counters.last_line = counters.last_line.max(last);
            }
        });
    }

    pub(crate) fn line(&self, tag: &str, kind: Kind) {
        self.counters.count_line(tag, kind);
    }

    pub(crate) fn repeated(&self) {
        self.counters.update(|counters| counters.repeated += 1);
    }

    /// Counts lost records at once; an overrun that goes on is told by [`Teller::tell_lost`], not record by record.
    /// `from` and `to` are the times of the records around the hole.
    pub(crate) fn lost(&mut self, records: u64, from: Option<Timestamp>, to: Timestamp) {
        if records > 0 {
            let lost = self.lost.get_or_insert(Lost { records: 0, from, to });
            lost.records += records;
            lost.to = lost.to.max(to);
            self.counters.update(|counters| counters.lost += records);
        }
    }

    pub(crate) fn tell_lost(&mut self, before_start: bool) {
        if let Some(Lost { records, from, to }) = self.lost.take() {
            self.tell(Event::Lost { records, before_start, from, to });
        }
    }
}
