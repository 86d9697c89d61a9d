//! What each number is called and what it means. Names and words are for ever: dashboards and alerts are made of them.

use anetcon_api::{Connections, NamespaceState};
use anetcon_core::ledger::Cause;

use super::family::{Family, Series, Values, by, counter, gauge, one, whole};
use super::snapshot::Snapshot;
use crate::registry::census::One;

/// How namespaces stand, and the words for it.
const STATES: [(NamespaceState, &str); 4] = [
    (NamespaceState::Audited, "audited"),
    (NamespaceState::Failed, "failed"),
    (NamespaceState::Repairing, "repairing"),
    (NamespaceState::Waiting, "waiting"),
];

/// Every metric, in the order in which they are written.
pub fn families(now: &Snapshot) -> Vec<Family> {
    let groups: [fn(&Snapshot) -> Vec<Family>; 10] = [
        namespaces,
        repairs,
        comparisons,
        nf_log,
        lines,
        records,
        gaps,
        agent,
        process,
        each_namespace,
    ];
    groups.iter().flat_map(|group| group(now)).collect()
}

fn namespaces(now: &Snapshot) -> Vec<Family> {
    let census = &now.census;
    let states = STATES.map(|(state, word)| (word, whole(census.standing(state))));
    vec![
        gauge(
            "anetcon_namespaces",
            "Selected network namespaces by how they stand",
            by("state", states),
        ),
        gauge(
            "anetcon_namespaces_fighting",
            "Namespaces in which somebody keeps changing our rules, so that repairs are slowed down",
            one(whole(census.fighting)),
        ),
        gauge(
            "anetcon_namespaces_recorded",
            "Namespaces whose connections are put on record",
            one(whole(census.recorded)),
        ),
    ]
}

fn repairs(now: &Snapshot) -> Vec<Family> {
    let (buckets, sum) = now.durations.clone();
    vec![
        counter(
            "anetcon_rules_repairs",
            "Repairs of rules that were in force before, by the gravest that was wrong",
            by("reason", now.repairs.iter().map(|(word, count)| (*word, whole(*count)))),
        ),
        Family {
            name: "anetcon_repair_duration_seconds",
            help: "Time from the notice of a change to verified rules",
            values: Values::Histogram(buckets, sum),
        },
        counter(
            "anetcon_unaudited_seconds",
            "Time in which rules were not in force, the sum of all selected namespaces, open gaps included",
            one(now.unaudited),
        ),
    ]
}

fn comparisons(now: &Snapshot) -> Vec<Family> {
    let [rule_overruns, connection_overruns] = now.overruns.map(whole);
    vec![
        counter(
            "anetcon_netlink_overruns",
            "Times that a socket's buffer in the kernel ran over and events were lost",
            by("socket", [("rules", rule_overruns), ("connections", connection_overruns)]),
        ),
        counter(
            "anetcon_resync",
            "Comparisons of everything that no event asked for, by why",
            by("reason", now.resyncs.iter().map(|(word, count)| (*word, whole(*count)))),
        ),
        gauge(
            "anetcon_last_reconcile_timestamp_seconds",
            "When the namespace was compared that was compared longest ago",
            one(now.reconciled),
        ),
        gauge(
            "anetcon_sweep_period_seconds",
            "How often every namespace is compared without being asked to",
            one(whole(now.period)),
        ),
    ]
}

fn nf_log(now: &Snapshot) -> Vec<Family> {
    vec![
        gauge(
            "anetcon_nf_log_all_netns",
            "The sysctl net.netfilter.nf_log_all_netns: unless it is 1 the kernel logs nothing outside the root namespace; NaN where it cannot be read",
            one(now.nf_log.value.map_or(f64::NAN, f64::from)),
        ),
        counter(
            "anetcon_nf_log_all_netns_resets",
            "Times that somebody set the sysctl to 0 while the agent ran",
            one(whole(now.nf_log.resets)),
        ),
    ]
}

fn lines(now: &Snapshot) -> Vec<Family> {
    let captured = now.captured;
    vec![
        counter(
            "anetcon_logged_connections",
            "New connections that the rules logged, as counted by the kernel",
            by("kind", kinds(now.connections)),
        ),
        counter(
            "anetcon_log_lines",
            "Lines that the agent wrote to the log files; none where rsyslog writes them",
            by("kind", [("float", whole(captured.float)), ("nat", whole(captured.nat))]),
        ),
        counter(
            "anetcon_log_lines_lost",
            "Lines that the agent could not write to the log files",
            one(whole(captured.unwritten)),
        ),
        counter(
            "anetcon_kernel_lines_lost",
            "Kernel log records, of anybody, that were overwritten before they were read",
            one(whole(captured.lost)),
        ),
    ]
}

fn records(now: &Snapshot) -> Vec<Family> {
    let written = now.written;
    vec![
        counter("anetcon_records", "Session records written", one(whole(written.written))),
        counter(
            "anetcon_records_lost",
            "Session records that are gone, by why",
            by(
                "reason",
                [("unwritable", whole(written.unwritten)), ("queue_full", whole(written.dropped))],
            ),
        ),
        gauge(
            "anetcon_records_waiting",
            "Session records that wait to be written",
            one(whole(written.waiting)),
        ),
    ]
}

fn gaps(now: &Snapshot) -> Vec<Family> {
    let causes = Cause::ALL.map(|cause| {
        (cause.to_string().replace('-', "_"), whole(now.gaps.get(&cause).copied().unwrap_or(0)))
    });
    vec![
        counter(
            "anetcon_unaccounted_connections",
            "Connections that the kernel counted and that were never told of, by where they are missing",
            by(
                "channel",
                [
                    ("kernel_log", whole(now.unaccounted.lines)),
                    ("records", whole(now.unaccounted.records)),
                ],
            ),
        ),
        gauge(
            "anetcon_gaps_open",
            "Gaps in the ledger that have not ended",
            one(whole(now.gaps_open)),
        ),
        counter("anetcon_gaps", "Gaps that the ledger was told of, by cause", by("cause", causes)),
    ]
}

fn agent(now: &Snapshot) -> Vec<Family> {
    vec![
        gauge(
            "anetcon_build_info",
            "The agent's version; always 1",
            by("version", [(env!("CARGO_PKG_VERSION"), 1.0)]),
        ),
        gauge(
            "anetcon_config_last_reload_successful",
            "Whether the last attempt to load the configuration worked",
            one(f64::from(now.reloaded)),
        ),
        gauge(
            "anetcon_config_last_reload_success_timestamp_seconds",
            "When the configuration in force was loaded",
            one(now.loaded),
        ),
    ]
}

fn process(now: &Snapshot) -> Vec<Family> {
    let process = now.process;
    let some = |value: Option<u64>| value.map(whole);
    let all = [
        (true, "process_cpu_seconds", "Time on processors", process.cpu),
        (false, "process_start_time_seconds", "When the agent started", Some(now.started)),
        (false, "process_resident_memory_bytes", "Memory in use", some(process.resident)),
        (false, "process_open_fds", "Open file descriptors", some(process.open)),
        (false, "process_max_fds", "File descriptors that may be open", some(process.most)),
    ];
    let told = all.into_iter().filter_map(|(grows, name, help, value)| {
        let series = one(value?);
        Some(if grows { counter(name, help, series) } else { gauge(name, help, series) })
    });
    told.collect()
}

/// Only where the configuration asks for it: these are as many as there are routers.
fn each_namespace(now: &Snapshot) -> Vec<Family> {
    let Some(each) = &now.census.each else { return Vec::new() };
    let named = |value: &dyn Fn(&One) -> f64| {
        by("namespace", each.iter().map(|one| (one.name.clone(), value(one))))
    };
    let kinds = each.iter().flat_map(|one| {
        kinds(one.connections).map(|(kind, value)| Series {
            labels: vec![("namespace", one.name.clone()), ("kind", kind.to_owned())],
            value,
        })
    });
    vec![
        gauge(
            "anetcon_namespace_audited",
            "Whether the rules of the namespace are in force",
            named(&|one| f64::from(one.audited)),
        ),
        counter(
            "anetcon_namespace_logged_connections",
            "New connections that the rules of the namespace logged",
            kinds.collect(),
        ),
        counter(
            "anetcon_namespace_repairs",
            "Repairs of the rules of the namespace",
            named(&|one| whole(one.repairs)),
        ),
    ]
}

fn kinds(connections: Connections) -> [(&'static str, f64); 2] {
    [("float", whole(connections.float)), ("nat", whole(connections.nat))]
}
