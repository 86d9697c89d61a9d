//! What a pass is told as: once in the agent's own log, once to the registry and its watchers.

use std::time::Duration;

use anetcon_api::{Happening, NamespaceState, Repair, RepairKind};
use anetcon_core::drift::Drift;
use anetcon_core::schedule;

use super::Worker;
use super::pending::{Cause, Pending};
use crate::metrics::Resync;
use crate::{clock, registry};

/// How long a file may be there before its namespace is. iproute2 mounts within a millisecond.
const MOUNT_TIME: Duration = Duration::from_secs(1);

impl Worker {
    /// A pass ended with the rules in force.
    pub(super) fn report(&mut self, pending: &Pending, pass: &anetcon_host::Pass) {
        let took = pass.acknowledged.saturating_duration_since(pending.since);
        self.closed(pending, pass);
        self.registry.looked(&self.name);
        if !pass.drift.is_empty() && pending.is_repair() {
            self.repaired(pending, &pass.drift, took);
        }
        match self.registry.audited(&self.name, self.tally) {
            Some(NamespaceState::Waiting) => self.audited(&pass.drift, took),
            Some(NamespaceState::Failed) => self.recovered(),
            Some(NamespaceState::Repairing | NamespaceState::Audited) | None => {}
        }
        self.fought(pending);
    }

    /// A pass failed: the namespace is tried again later, alone.
    pub(super) fn failed(&mut self, pending: Pending, error: &anyhow::Error) {
        self.verified = None;
        self.registry.looked(&self.name);
        self.wait(schedule::Pass::Failed);
        if is_being_made_or_gone(error, &pending) {
            self.pending = Some(pending);
            return;
        }
        let error = format!("{error:#}");
        self.opened_gap(&pending, &error);
        if self.registry.failed(&self.name, &error) {
            tracing::error!(netns = %self.name, error, "namespace is not audited");
            self.registry.publish(Some(&self.name), Happening::Failed { error });
        }
        self.pending = Some(pending);
    }

    fn repaired(&self, pending: &Pending, drift: &[Drift], took: Duration) {
        let reasons: Vec<String> = drift.iter().map(ToString::to_string).collect();
        let authors = registry::authors(&pending.authors);
        let took_us = micros(took);
        if let Some(gravest) = drift.first() {
            self.registry.facts().repaired(gravest.kind(), took);
        }
        if pending.cause == Cause::Sweep {
            self.registry.facts().resynced(Resync::Sweep);
        }
        tracing::warn!(
            netns = %self.name,
            reasons = reasons.join(", "),
            took_us,
            by = by(&pending.authors),
            "rules restored"
        );
        self.registry.repaired(
            &self.name,
            Repair {
                time: clock::now(),
                namespace: self.name.to_string(),
                reasons: reasons.clone(),
                took_us,
                authors: authors.clone(),
                kind: RepairKind::Repaired,
            },
        );
        let kind = RepairKind::Repaired;
        let happening = Happening::Repaired { reasons, took_us, authors, kind };
        self.registry.publish(Some(&self.name), happening);
    }

    fn recovered(&self) {
        tracing::info!(netns = %self.name, "namespace is audited again");
        self.registry.publish(Some(&self.name), Happening::Recovered);
    }

    fn audited(&self, drift: &[Drift], took: Duration) {
        let adopted = drift.is_empty();
        let took_us = micros(took);
        tracing::info!(netns = %self.name, adopted, took_us, "namespace is audited");
        self.registry.publish(Some(&self.name), Happening::Audited { took_us });
    }

    fn fought(&self, pending: &Pending) {
        let fighting = self.schedule.fighting();
        if !self.registry.fighting(&self.name, fighting) {
            return;
        }
        let happening = if fighting {
            let delay = self.not_before.saturating_duration_since(tokio::time::Instant::now());
            tracing::warn!(netns = %self.name, by = by(&pending.authors), "somebody keeps changing our rules, repairs are slowed down");
            let authors = registry::authors(&pending.authors);
            Happening::Fighting { delay_ms: micros(delay) / 1000, authors }
        } else {
            tracing::info!(netns = %self.name, "nobody changes our rules any more, repairs are immediate again");
            Happening::FightingEnded
        };
        self.registry.publish(Some(&self.name), happening);
    }
}

/// Whether the supervisor will hear of this any moment: it ends the worker of a file that is gone, and wakes that of a
/// file on which a namespace is mounted now.
fn is_being_made_or_gone(error: &anyhow::Error, pending: &Pending) -> bool {
    error.downcast_ref().is_some_and(|error: &anetcon_host::Error| {
        error.is_gone() || error.is_not_ready() && pending.since.elapsed() < MOUNT_TIME
    })
}

/// `nft (thread 3173), iptables-nft (thread 3180)`; `unknown` where no event told.
fn by(authors: &[anetcon_host::Author]) -> String {
    if authors.is_empty() {
        return "unknown".to_owned();
    }
    let one = |author: &anetcon_host::Author| format!("{} (thread {})", author.name, author.tid);
    authors.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
