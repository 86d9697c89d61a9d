//! When a namespace is audited and when not, told to the ledger: the times are those of the notice and of the kernel's answer.

use std::time::Instant;

use anetcon_core::drift::Drift;
use anetcon_core::ledger::{Cause as Why, Channel};
use anetcon_core::netns::NetnsCookie;
use anetcon_host::NetnsRules;
use anetcon_records::ledger::Facts;
use jiff::Timestamp;

use super::Worker;
use super::pending::{Cause, Pending};
use crate::ledger::{BOTH, Of, missing, wall};

/// How a namespace came to be audited.
#[derive(Debug, Clone, Copy)]
pub enum Arrival {
    /// It was there when the agent started.
    AtStart,
    /// It came, or was selected, then.
    Later(Timestamp),
}

/// What a worker remembers for the ledger.
#[derive(Debug)]
pub(super) struct Gaps {
    /// Until the first pass succeeded.
    arrival: Option<Arrival>,
    /// Until its connections were followed first.
    unfollowed: Option<Arrival>,
    /// The gap that was begun.
    open: Option<Why>,
    /// When the rules were last seen in force.
    in_force: Timestamp,
}

impl Arrival {
    /// Just now.
    pub fn now() -> Self {
        Self::Later(Timestamp::now())
    }
}

impl Gaps {
    pub(super) fn new(arrival: Arrival) -> Self {
        let (open, in_force) = (None, Timestamp::now());
        Self { arrival: Some(arrival), unfollowed: Some(arrival), open, in_force }
    }

    /// The rules were seen in force.
    pub(super) fn in_force(&mut self) {
        self.in_force = Timestamp::now();
    }
}

impl Worker {
    /// Rules may be gone, and cannot be looked at yet.
    pub(super) fn held_back(&mut self, since: Instant) {
        self.begin_gap(
            Why::Wiped,
            self.registry.ledger().since(since),
            "somebody keeps changing the rules",
        );
    }

    /// A pass failed.
    pub(super) fn opened_gap(&mut self, pending: &Pending, error: &str) {
        let now = Timestamp::now();
        match self.gaps.arrival.take() {
            Some(Arrival::AtStart) => {
                // Nobody has seen them in force since the agent began.
                self.registry.exposed(&self.name, self.registry.ledger().down_since());
                self.registry.ledger().came_up(self.of(), Channel::KernelLog, now, false);
                self.begin_gap(Why::Unreachable, now, error);
            }
            Some(Arrival::Later(since)) => self.begin_gap(Why::Unreachable, since, error),
            None if pending.cause == Cause::Event => {
                self.begin_gap(Why::Wiped, self.since(pending), error);
            }
            None => self.begin_gap(Why::Unreachable, self.gaps.in_force, error),
        }
    }

    /// A pass ended with the rules in force.
    pub(super) fn closed(&mut self, pending: &Pending, pass: &anetcon_host::Pass) {
        let to = wall(pass.acknowledged);
        let facts = Facts {
            reasons: pass.drift.iter().map(ToString::to_string).collect(),
            authors: pending.authors.iter().map(|a| (a.name.clone(), a.tid)).collect(),
            ..missing(&BOTH)
        };
        let silent = pass.drift.iter().any(Drift::silences);
        let (of, ledger) = (self.of(), self.registry.ledger());
        if let Some(why) = self.gaps.open {
            ledger.end_known(of, why, to, facts);
            self.registry.covered(&self.name, to);
        } else if let Some(arrival) = self.gaps.arrival {
            self.arrived(arrival, Channel::KernelLog, to, !silent);
            self.came_in_force(arrival, to, silent);
        } else if silent && pending.is_repair() {
            let since = self.since(pending);
            ledger.gap(of, Why::Wiped, since, to, facts);
            self.registry.was_exposed(&self.name, since, to);
        }
        (self.gaps.open, self.gaps.arrival) = (None, None);
        self.gaps.in_force();
    }

    /// Its connections are followed from now on; `stood`: through a socket that has heard of them all the time.
    pub(super) fn followed(&mut self, cookie: NetnsCookie, stood: bool) {
        let now = Timestamp::now();
        let of = Of { name: &self.name, cookie: Some(cookie) };
        self.registry.ledger().end(of, Why::Unreachable, &[Channel::Records], now);
        if let Some(arrival) = self.gaps.unfollowed.take() {
            self.arrived(arrival, Channel::Records, now, stood);
        }
    }

    /// Its connections cannot be followed.
    pub(super) fn unrecorded(&self, error: &str) {
        let channels = [Channel::Records];
        let now = Timestamp::now();
        self.registry.ledger().begin(self.of(), Why::Unreachable, &channels, now, error);
    }

    fn arrived(&self, arrival: Arrival, channel: Channel, at: Timestamp, stood: bool) {
        let (of, ledger) = (self.of(), self.registry.ledger());
        match arrival {
            // Rules that stood logged nothing while the kernel did not log for namespaces.
            Arrival::AtStart => {
                let silent = !self.name.is_root() && self.registry.nf_log_was_off();
                ledger.came_up(of, channel, at, stood && !silent);
            }
            Arrival::Later(since) => {
                ledger.end(of, Why::NotSelected, &BOTH, at);
                ledger.gap(of, Why::Born, since, at, missing(&[channel]));
            }
        }
    }

    /// How long that took counts, unless the rules were there all the time.
    fn came_in_force(&self, arrival: Arrival, at: Timestamp, silent: bool) {
        match arrival {
            Arrival::AtStart if silent => {
                self.registry.was_exposed(&self.name, self.registry.ledger().down_since(), at);
            }
            Arrival::AtStart => {}
            Arrival::Later(_) => self.registry.covered(&self.name, at),
        }
    }

    fn begin_gap(&mut self, why: Why, from: Timestamp, reason: &str) {
        if self.gaps.open.is_none() {
            self.gaps.open = Some(why);
            self.registry.ledger().begin(self.of(), why, &BOTH, from, reason);
            self.registry.exposed(&self.name, from);
        }
    }

    /// Since when rules that were put back may have been gone. Where no event told, that is since they were last seen.
    fn since(&self, pending: &Pending) -> Timestamp {
        match pending.cause {
            Cause::Event => self.registry.ledger().since(pending.since),
            Cause::Start | Cause::Configure | Cause::Sweep => self.gaps.in_force,
        }
    }

    fn of(&self) -> Of<'_> {
        Of { name: &self.name, cookie: self.rules.as_ref().map(NetnsRules::cookie) }
    }
}
