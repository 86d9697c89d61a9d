//! For how long rules were not in force, and when they were last looked at.

use std::time::Duration;

use anetcon_core::netns::NetnsName;
use jiff::Timestamp;

use super::Registry;
use crate::metrics::Facts;

impl Registry {
    /// What is counted for metrics alone.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The rules of a namespace are not in force since then.
    pub fn exposed(&self, name: &NetnsName, since: Timestamp) {
        let since = self.facts.moment(since);
        self.update(name, |entry| entry.exposure.begin(since));
    }

    /// They are in force since then.
    pub fn covered(&self, name: &NetnsName, at: Timestamp) {
        let at = self.facts.moment(at);
        self.update(name, |entry| entry.exposure.end(at));
    }

    /// They were not in force from the one moment to the other.
    pub fn was_exposed(&self, name: &NetnsName, from: Timestamp, to: Timestamp) {
        let (from, to) = (self.facts.moment(from), self.facts.moment(to));
        self.update(name, |entry| entry.exposure.past(from, to));
    }

    /// A namespace was compared with what is wanted just now, whatever came of it.
    pub fn looked(&self, name: &NetnsName) {
        let now = self.facts.now();
        self.update(name, |entry| entry.looked = now);
    }

    /// For how long rules were not in force since the agent began: the sum of all namespaces, those that are gone and those in
    /// which they are not in force now included.
    pub fn unaudited(&self) -> Duration {
        let known = self.known();
        let now = self.facts.now();
        let each = known.namespaces.values().map(|entry| entry.exposure.total(now));
        each.fold(known.gone_unaudited, |sum, one| sum + one)
    }

    /// How long ago the namespace was compared that was compared longest ago, and the rule plane turned.
    pub fn last_reconcile(&self) -> Duration {
        let looked = self.known().namespaces.values().map(|entry| entry.looked).min();
        let turned = self.facts.last_turn();
        self.facts.now().saturating_sub(looked.map_or(turned, |looked| looked.min(turned)))
    }
}
