//! One file over another: each key that the stronger one has, and the rest of the weaker one.

use std::ops::Range;

use super::raw::{
    Placed, Raw, RawControl, RawLog, RawMetrics, RawRecords, RawRules, RawState, Text,
};

impl Raw {
    /// This file over a weaker one: key by key; a list replaces a list, and networks are merged by namespace.
    pub(super) fn over(self, weaker: Self) -> Self {
        let (rules, log, metrics) = (weaker.rules, weaker.log, weaker.metrics);
        Self {
            namespaces: self.namespaces.or(weaker.namespaces),
            namespace_directories: self.namespace_directories.or(weaker.namespace_directories),
            period: self.period.or(weaker.period),
            debug: self.debug.or(weaker.debug),
            protocols: self.protocols.or(weaker.protocols),
            networks_scope: self.networks_scope.or(weaker.networks_scope),
            networks: networks(self.networks, weaker.networks),
            rules: RawRules {
                table: self.rules.table.or(rules.table),
                chain: self.rules.chain.or(rules.chain),
                priority: self.rules.priority.or(rules.priority),
                protect: self.rules.protect.or(rules.protect),
            },
            log: RawLog {
                prefix: self.log.prefix.or(log.prefix),
                prefix_dnat: self.log.prefix_dnat.or(log.prefix_dnat),
                prefix_other: self.log.prefix_other.or(log.prefix_other),
                namespace: self.log.namespace.or(log.namespace),
                level: self.log.level.or(log.level),
                writer: self.log.writer.or(log.writer),
                directory: self.log.directory.or(log.directory),
            },
            state: RawState {
                directory: self.state.directory.or(weaker.state.directory),
                hash_file: self.state.hash_file.or(weaker.state.hash_file),
            },
            control: RawControl { socket: self.control.socket.or(weaker.control.socket) },
            records: records(self.records, weaker.records),
            metrics: RawMetrics {
                listen: self.metrics.listen.or(metrics.listen),
                textfile: self.metrics.textfile.or(metrics.textfile),
                namespaces: self.metrics.namespaces.or(metrics.namespaces),
            },
        }
    }

    /// Where the value of each key is that is there; networks are named `networks.<namespace>`.
    pub(super) fn places(&self) -> Vec<(String, Option<Range<usize>>)> {
        let Self { rules, log, state, control, records, metrics, .. } = self;
        let keys = [
            ("namespaces", placed(&self.namespaces)),
            ("namespace_directories", placed(&self.namespace_directories)),
            ("period", placed(&self.period)),
            ("debug", placed(&self.debug)),
            ("protocols", placed(&self.protocols)),
            ("networks_scope", text(&self.networks_scope)),
            ("rules.table", text(&rules.table)),
            ("rules.chain", text(&rules.chain)),
            ("rules.priority", placed(&rules.priority)),
            ("rules.protect", text(&rules.protect)),
            ("log.prefix", text(&log.prefix)),
            ("log.prefix_dnat", text(&log.prefix_dnat)),
            ("log.prefix_other", text(&log.prefix_other)),
            ("log.namespace", text(&log.namespace)),
            ("log.level", text(&log.level)),
            ("log.writer", text(&log.writer)),
            ("log.directory", text(&log.directory)),
            ("state.directory", text(&state.directory)),
            ("state.hash_file", text(&state.hash_file)),
            ("control.socket", text(&control.socket)),
            ("records.enabled", placed(&records.enabled)),
            ("records.file", text(&records.file)),
            ("records.buffer", placed(&records.buffer)),
            ("records.end", placed(&records.end)),
            ("records.destination", placed(&records.destination)),
            ("metrics.listen", text(&metrics.listen)),
            ("metrics.textfile", text(&metrics.textfile)),
            ("metrics.namespaces", placed(&metrics.namespaces)),
        ];
        let named = self
            .networks
            .iter()
            .map(|(name, networks)| (format!("networks.{}", name.value), networks.span.clone()));
        keys.into_iter().map(|(key, span)| (key.to_owned(), span)).chain(named).collect()
    }
}

fn records(stronger: RawRecords, weaker: RawRecords) -> RawRecords {
    RawRecords {
        enabled: stronger.enabled.or(weaker.enabled),
        file: stronger.file.or(weaker.file),
        buffer: stronger.buffer.or(weaker.buffer),
        end: stronger.end.or(weaker.end),
        destination: stronger.destination.or(weaker.destination),
    }
}

type Networks = Vec<(Text, Placed<Vec<Text>>)>;

fn networks(stronger: Networks, weaker: Networks) -> Networks {
    let replaced = |name: &Text| stronger.iter().any(|(other, _)| other.value == name.value);
    let mut merged: Networks = weaker.into_iter().filter(|(name, _)| !replaced(name)).collect();
    merged.extend(stronger);
    merged
}

fn text(text: &Option<Text>) -> Option<Range<usize>> {
    text.as_ref()?.span.clone()
}

fn placed<T>(value: &Option<Placed<T>>) -> Option<Range<usize>> {
    value.as_ref()?.span.clone()
}
