//! Everything that is told, as it is at one moment.

use std::collections::BTreeMap;

use anetcon_api::{Connections, NfLogAllNetns, Unaccounted};
use anetcon_core::ledger::Cause;
use jiff::Timestamp;

use super::process::Process;
use crate::agent::Agent;
use crate::capture::Captured;
use crate::records::Written;
use crate::registry::census::Census;

/// The numbers before they have names.
#[derive(Debug)]
pub struct Snapshot {
    /// The selected namespaces.
    pub census: Census,
    /// What rules counted.
    pub connections: Connections,
    /// What was never told of.
    pub unaccounted: Unaccounted,
    /// How often rules were put back, by what was wrong.
    pub repairs: Vec<(&'static str, u64)>,
    /// How long that took: the buckets, and the sum in seconds.
    pub durations: (Vec<(f64, u64)>, f64),
    /// For how long rules were not in force, in seconds.
    pub unaudited: f64,
    /// Why everything was compared again.
    pub resyncs: Vec<(&'static str, u64)>,
    /// Overruns of the sockets that hear of rules, and of connections.
    pub overruns: [u64; 2],
    /// The kernel log.
    pub captured: Captured,
    /// The records.
    pub written: Written,
    /// Gaps that have not ended.
    pub gaps_open: u64,
    /// Gaps that began.
    pub gaps: BTreeMap<Cause, u64>,
    /// When every namespace had been compared, in seconds since 1970.
    pub reconciled: f64,
    /// The sweep, in seconds.
    pub period: u64,
    /// Whether the last reload worked.
    pub reloaded: bool,
    /// When the configuration in force was loaded, in seconds since 1970.
    pub loaded: f64,
    /// net.netfilter.nf_log_all_netns.
    pub nf_log: NfLogAllNetns,
    /// When the agent started, in seconds since 1970.
    pub started: f64,
    /// The process.
    pub process: Process,
}

impl Snapshot {
    /// What is known now.
    pub fn take(agent: &Agent) -> Self {
        let (registry, in_force) = (agent.registry(), agent.in_force());
        let facts = registry.facts();
        let resyncs: Vec<_> = facts.resyncs().map(|(why, count)| (why.as_str(), count)).collect();
        let connection_overruns = agent.records().status(&in_force.config).overruns;
        let ago = registry.last_reconcile().as_secs_f64();
        Self {
            census: registry.census(in_force.config.metrics.namespaces),
            connections: registry.connections(),
            unaccounted: registry.all_unaccounted(),
            repairs: facts.repairs().map(|(kind, count)| (kind.as_str(), count)).collect(),
            durations: facts.durations(),
            unaudited: registry.unaudited().as_secs_f64(),
            overruns: [facts.overruns(), facts.connection_overruns(connection_overruns)],
            resyncs,
            captured: agent.capture().captured(),
            written: agent.records().written(),
            gaps_open: registry.ledger().status().open,
            gaps: registry.ledger().begun(),
            reconciled: seconds(Timestamp::now()) - ago,
            period: in_force.config.period.as_secs(),
            reloaded: in_force.last_error.is_none(),
            loaded: seconds(in_force.loaded),
            nf_log: registry.nf_log(),
            started: seconds(facts.started()),
            process: Process::read(),
        }
    }
}

/// Seconds since 1970, as Prometheus has times.
pub fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}
