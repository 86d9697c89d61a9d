//! From the file as written to a configuration that can be put in force: what each value means.
//!
//! Each check gives its value or an error; what has an error keeps its default, so that the checks
//! after it can go on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::diagnostic::{Diagnostic, Errors};
use super::names::name;
use super::raw::{
    Placed, Raw, RawControl, RawLog, RawMetrics, RawRecords, RawRules, RawState, Text,
};
use super::values::{LEVELS, PROTECTS, PROTOCOLS, Protocol, SCOPES, TAGS, WRITERS};
use super::{
    Config, Control, Log, Metrics, Records, Rules, State, exposition, networks, paths, patterns,
    prefixes, suggest,
};
use crate::prefix::Prefixes;
use crate::select::{Pattern, Selection};

/// A day. The sweep catches what no event told; a longer pause between sweeps is no fallback.
const MAX_PERIOD: i128 = 24 * 60 * 60;
/// Connection tracking runs at -200 (`NF_IP_PRI_CONNTRACK`) and the kernel refuses nat chains before
/// it. At 100 (`NF_IP_PRI_NAT_SRC`) the usual source NAT settles a connection, which then skips every
/// later nat chain.
const PRIORITIES: std::ops::RangeInclusive<i128> = -199..=99;
/// 64 KiB hold some 100 events (kernel 6.18). The kernel doubles the number and keeps it in an int (`sk_set_rcvbuf`).
const BUFFERS: std::ops::RangeInclusive<i128> = 65_536..=1_073_741_823;

/// Checks everything. Where there was an error, the configuration is not to be used.
pub(super) fn check(raw: &Raw, errors: &mut Errors) -> Config {
    let default = Config::default();
    let config = Config {
        selection: raw
            .namespaces
            .as_ref()
            .map_or(default.selection, |list| selection("namespaces", list, errors)),
        namespace_directories: raw
            .namespace_directories
            .as_ref()
            .map_or(default.namespace_directories, |list| {
                directories("namespace_directories", list, errors)
            }),
        period: errors.value("period", &raw.period, period, default.period),
        debug: flag(&raw.debug, default.debug),
        protocols: raw
            .protocols
            .as_ref()
            .map_or(default.protocols, |list| protocols("protocols", list, errors)),
        networks_scope: errors.value(
            "networks_scope",
            &raw.networks_scope,
            |key, text| word(key, text, &SCOPES),
            default.networks_scope,
        ),
        networks: all_networks(&raw.networks, errors),
        rules: rules(&raw.rules, default.rules, errors),
        log: log(&raw.log, default.log, errors),
        state: state(&raw.state, default.state, errors),
        control: control(&raw.control, default.control, errors),
        records: records(&raw.records, default.records, errors),
        metrics: metrics(&raw.metrics, default.metrics, errors),
    };
    paths::clashes(&config, raw, errors);
    config
}

fn flag(raw: &Option<Placed<bool>>, default: bool) -> bool {
    raw.as_ref().map_or(default, |placed| placed.value)
}

/// The patterns of `namespaces` or `-n`.
pub(super) fn selection(key: &str, list: &Placed<Vec<Text>>, errors: &mut Errors) -> Selection {
    let empty = "list at least one pattern, or \"default\" for the root namespace; to audit nothing, stop the service";
    Selection { patterns: each(key, list, empty, patterns::pattern, Pattern::as_str, errors) }
}

/// The seconds of `period` or `-p`.
pub(super) fn period(key: &str, seconds: &Placed<i128>) -> Result<Duration, Diagnostic> {
    match u64::try_from(seconds.value) {
        Ok(whole @ 1..) if seconds.value <= MAX_PERIOD => Ok(Duration::from_secs(whole)),
        _ => {
            let found = seconds.value;
            let message = format!("`{key}` must be from 1 to {MAX_PERIOD} seconds, not {found}");
            Err(Diagnostic::new(message, seconds.span.clone()).help(
                "repairs do not wait for it: it is only the fallback for what no event told, and 30 suits most",
            ))
        }
    }
}

fn directories(key: &str, list: &Placed<Vec<Text>>, errors: &mut Errors) -> Vec<PathBuf> {
    let empty = "no namespace could be found; leave the key out for its default, [\"/run/netns\"]";
    each(key, list, empty, paths::directory, |path| path, errors)
}

fn protocols(key: &str, list: &Placed<Vec<Text>>, errors: &mut Errors) -> Vec<Protocol> {
    let empty = "nothing would be audited; leave the key out for its default, [\"tcp\"]";
    let mut protocols = each(key, list, empty, protocol, |protocol| protocol, errors);
    protocols.sort();
    protocols
}

fn protocol(key: &str, text: &Text) -> Result<Protocol, Diagnostic> {
    let unknown = |diagnostic: Diagnostic| {
        let icmp = text.value.to_lowercase().contains("icmp");
        if icmp { diagnostic.help("`icmp` stands for ICMP and ICMPv6") } else { diagnostic }
    };
    word(key, text, &PROTOCOLS).map_err(unknown)
}

fn rules(raw: &RawRules, default: Rules, errors: &mut Errors) -> Rules {
    Rules {
        table: errors.value("rules.table", &raw.table, name, default.table),
        chain: errors.value("rules.chain", &raw.chain, name, default.chain),
        priority: errors.value("rules.priority", &raw.priority, priority, default.priority),
        protect: errors.value(
            "rules.protect",
            &raw.protect,
            |key, text| word(key, text, &PROTECTS),
            default.protect,
        ),
    }
}

fn priority(key: &str, priority: &Placed<i128>) -> Result<i32, Diagnostic> {
    let value = priority.value;
    let help = match i32::try_from(value) {
        Ok(fitting) if PRIORITIES.contains(&value) => return Ok(fitting),
        _ if value < *PRIORITIES.start() => {
            "the kernel takes no nat chain before connection tracking, which runs at -200"
        }
        _ => {
            "at 100 the usual source NAT settles a connection, and chains after it never see that connection"
        }
    };
    let (first, last) = PRIORITIES.into_inner();
    let message = format!("`{key}` must be from {first} to {last}, not {value}");
    Err(Diagnostic::new(message, priority.span.clone()).help(help))
}

fn log(raw: &RawLog, default: Log, errors: &mut Errors) -> Log {
    Log {
        prefixes: log_prefixes(raw, default.prefixes, errors),
        level: errors.value(
            "log.level",
            &raw.level,
            |key, text| word(key, text, &LEVELS),
            default.level,
        ),
        writer: errors.value(
            "log.writer",
            &raw.writer,
            |key, text| word(key, text, &WRITERS),
            default.writer,
        ),
        directory: errors.value(
            "log.directory",
            &raw.directory,
            paths::directory,
            default.directory,
        ),
    }
}

fn log_prefixes(raw: &RawLog, default: Prefixes, errors: &mut Errors) -> Prefixes {
    let before = errors.len();
    let mut text = |key, raw, default| errors.value(key, raw, prefixes::prefix, default);
    let checked = Prefixes {
        base: text("log.prefix", &raw.prefix, default.base),
        dnat: text("log.prefix_dnat", &raw.prefix_dnat, default.dnat),
        other: text("log.prefix_other", &raw.prefix_other, default.other),
        namespace: errors.value(
            "log.namespace",
            &raw.namespace,
            |key, text| word(key, text, &TAGS),
            default.namespace,
        ),
    };
    // A text that was refused has been replaced by its default, whose length says nothing.
    if errors.len() == before {
        prefixes::together(&checked, raw, errors);
    }
    checked
}

fn state(raw: &RawState, default: State, errors: &mut Errors) -> State {
    State {
        directory: errors.value(
            "state.directory",
            &raw.directory,
            paths::directory,
            default.directory,
        ),
        hash_file: errors.value("state.hash_file", &raw.hash_file, hash_file, default.hash_file),
    }
}

fn hash_file(key: &str, text: &Text) -> Result<Option<PathBuf>, Diagnostic> {
    if text.value.is_empty() { Ok(None) } else { paths::file(key, text).map(Some) }
}

fn control(raw: &RawControl, default: Control, errors: &mut Errors) -> Control {
    Control { socket: errors.value("control.socket", &raw.socket, paths::socket, default.socket) }
}

fn records(raw: &RawRecords, default: Records, errors: &mut Errors) -> Records {
    Records {
        enabled: flag(&raw.enabled, default.enabled),
        file: errors.value("records.file", &raw.file, paths::file, default.file),
        buffer: errors.value("records.buffer", &raw.buffer, buffer, default.buffer),
        end: flag(&raw.end, default.end),
        destination: flag(&raw.destination, default.destination),
    }
}

fn metrics(raw: &RawMetrics, default: Metrics, errors: &mut Errors) -> Metrics {
    let (listen, textfile) = (exposition::listen, exposition::textfile);
    Metrics {
        listen: errors.value("metrics.listen", &raw.listen, listen, default.listen),
        textfile: errors.value("metrics.textfile", &raw.textfile, textfile, default.textfile),
        namespaces: flag(&raw.namespaces, default.namespaces),
    }
}

fn buffer(key: &str, bytes: &Placed<i128>) -> Result<usize, Diagnostic> {
    let value = bytes.value;
    let help = match usize::try_from(value) {
        Ok(fitting) if BUFFERS.contains(&value) => return Ok(fitting),
        _ if value < *BUFFERS.start() => {
            "a smaller one loses connections whenever the agent is busy for a moment; it is a limit, not an allocation"
        }
        _ => "the kernel takes no more",
    };
    let (first, last) = BUFFERS.into_inner();
    let message = format!("`{key}` must be from {first} to {last} bytes, not {value}");
    Err(Diagnostic::new(message, bytes.span.clone()).help(help))
}

fn all_networks(
    raw: &[(Text, Placed<Vec<Text>>)],
    errors: &mut Errors,
) -> BTreeMap<String, Vec<IpNet>> {
    let mut all = BTreeMap::new();
    for (name, list) in raw {
        let networks = networks::networks(&name.value, list, errors);
        if let Some(name) = errors.keep(networks::namespace(name)) {
            all.insert(name, networks);
        }
    }
    all
}

/// Checks each entry of a list that must hold something and nothing twice. `identity` is what makes
/// two entries the same.
fn each<T, I: PartialEq + ?Sized>(
    key: &str,
    list: &Placed<Vec<Text>>,
    empty: &str,
    check: impl Fn(&str, &Text) -> Result<T, Diagnostic>,
    identity: impl Fn(&T) -> &I,
    errors: &mut Errors,
) -> Vec<T> {
    if list.value.is_empty() {
        errors.push(
            Diagnostic::new(format!("`{key}` is an empty list"), list.span.clone()).help(empty),
        );
    }
    let mut checked: Vec<T> = Vec::new();
    for text in &list.value {
        let Some(entry) = errors.keep(check(key, text)) else { continue };
        if checked.iter().any(|earlier| identity(earlier) == identity(&entry)) {
            let message = format!("`{key}` lists {} twice", suggest::quote(&text.value));
            errors.push(Diagnostic::new(message, text.span.clone()).help("remove one of them"));
        }
        checked.push(entry);
    }
    checked
}

/// The value that a word stands for.
fn word<T: Copy>(key: &str, text: &Text, table: &[(&str, T)]) -> Result<T, Diagnostic> {
    let known = table.iter().find(|(word, _)| *word == text.value);
    known.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = table.iter().map(|(word, _)| *word).collect();
        Diagnostic::new(
            format!("`{key}` cannot be {}", suggest::quote(&text.value)),
            text.span.clone(),
        )
        .help(suggest::one_of(&text.value, &words))
    })
}
