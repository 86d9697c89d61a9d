//! The capture thread's side of counters, health and events.

use std::error::Error;

use jiff::Timestamp;

use anetcon_core::prefix::Kind;

use crate::counters::{Event, Shared};
use crate::health::{Health, Part};

/// Whom events are told.
pub(crate) type OnEvent = Box<dyn FnMut(Event) + Send>;

/// Counts, and tells what begins and ends.
pub(crate) struct Teller {
    counters: Shared,
    on_event: OnEvent,
    health: Health,
    /// Lost records that were not told yet.
    lost: u64,
}

impl Teller {
    pub(crate) fn new(counters: Shared, on_event: OnEvent) -> Self {
        Self { counters, on_event, health: Health::default(), lost: 0 }
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

    pub(crate) fn repeated(&self) {
        self.counters.update(|counters| counters.repeated += 1);
    }

    /// Counts lost records at once; an overrun that goes on is told by [`Teller::tell_lost`], not record by record.
    pub(crate) fn lost(&mut self, records: u64) {
        if records > 0 {
            self.lost += records;
            self.counters.update(|counters| counters.lost += records);
        }
    }

    pub(crate) fn tell_lost(&mut self, before_start: bool) {
        let records = std::mem::take(&mut self.lost);
        if records > 0 {
            self.tell(Event::Lost { records, before_start });
        }
    }
}
