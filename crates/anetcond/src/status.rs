//! The `status` document, and the agent's judgement of itself.

use anetcon_api::{
    ConfigurationStatus, LogStatus, LogWriter, NamespaceCounts, NfLogAllNetns, Protection, Schema,
    Status, Verdict,
};

use anetcon_core::config::Config;
use anetcon_core::netns::NetnsName;

use crate::agent::Agent;
use crate::{clock, registry};

impl Agent {
    /// The state of everything, as last seen.
    pub fn status(&self) -> Status {
        let in_force = self.in_force();
        let config = &in_force.config;
        let counts = self.registry().counts();
        let nf_log = self.registry().nf_log();
        let log = self.capture().status(config);
        let records = self.records().status(config);
        let mut status = Status {
            schema: Schema,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started().to_owned(),
            verdict: Verdict { ok: false, problems: Vec::new() },
            configuration: ConfigurationStatus {
                file: in_force.file.as_ref().map(|file| file.display().to_string()),
                drop_ins: in_force.drop_ins.iter().map(|file| file.display().to_string()).collect(),
                loaded: clock::text(in_force.loaded),
                last_error: in_force.last_error.clone(),
            },
            namespaces: counts,
            failed: self.registry().not_audited(),
            repairs: self.registry().repairs(),
            connections: self.registry().connections(),
            nf_log_all_netns: nf_log,
            log,
            records,
            unaccounted: self.registry().all_unaccounted(),
            ledger: self.registry().ledger().status(),
            manifest: self.registry().manifest().status(),
            metrics: self.exposition().status(config),
            protection: self.protection(config),
            period_seconds: config.period.as_secs(),
            socket: config.control.socket.display().to_string(),
        };
        let problems = problems(&status);
        status.verdict = Verdict { ok: problems.is_empty(), problems };
        status
    }

    /// Of named namespaces; in the root namespace it may be less.
    fn protection(&self, config: &Config) -> Protection {
        let guarantees = self.registry().guarantees();
        let named = NetnsName::named("named")
            .map(|named| config.rules.protect.protection(&named, guarantees));
        named.map_or(Protection::Plain, registry::told)
    }

    /// One line for `systemctl status`.
    pub fn summary(&self) -> String {
        let NamespaceCounts { selected, audited, failed, .. } = self.registry().counts();
        let last = self.registry().repairs().last.into_iter().next();
        let last = last.map_or_else(String::new, |repair| {
            format!("; last repair {} in {}", repair.time, repair.namespace)
        });
        format!("{selected} namespaces, {audited} audited, {failed} failed{last}")
    }
}

/// What is wrong, the worst first: what is not audited, what is audited but not logged, what may become wrong.
fn problems(status: &Status) -> Vec<String> {
    let waiting = status.namespaces.selected - status.namespaces.audited;
    let checks = [
        (waiting > 0).then(|| {
            format!("{waiting} of {} namespaces are not audited", status.namespaces.selected)
        }),
        nf_log(&status.nf_log_all_netns),
        log(&status.log),
        records(status),
        status
            .manifest
            .error
            .as_ref()
            .map(|error| format!("rotated files are not listed: {error}")),
        status.ledger.error.as_ref().map(|error| format!("gaps are not told: {error}")),
        (status.namespaces.fighting > 0).then(|| {
            format!(
                "somebody keeps changing our rules in {} namespaces",
                status.namespaces.fighting
            )
        }),
        status.metrics.error.as_ref().map(|error| format!("metrics are not told: {error}")),
        status.configuration.last_error.as_ref().map(|_| {
            "the configuration could not be reloaded; the one before is in force".to_owned()
        }),
    ];
    checks.into_iter().flatten().collect()
}

fn records(status: &Status) -> Option<String> {
    let records = &status.records;
    if let Some(error) = &records.error {
        return Some(format!("connections are not put on record: {error}"));
    }
    let unrecorded = status.namespaces.audited.saturating_sub(records.namespaces);
    (records.enabled && unrecorded > 0)
        .then(|| format!("the connections of {unrecorded} namespaces are not put on record"))
}

fn nf_log(state: &NfLogAllNetns) -> Option<String> {
    let why = state.error.as_deref().map_or_else(String::new, |error| format!(": {error}"));
    (!state.ok)
        .then(|| format!("lines are being lost: net.netfilter.nf_log_all_netns is not 1{why}"))
}

fn log(log: &LogStatus) -> Option<String> {
    let what = match log.writer {
        LogWriter::Agent => "the log files cannot be written",
        LogWriter::Rsyslog => "lines are not counted",
    };
    log.last_error.as_ref().map(|error| format!("{what}: {error}"))
}
