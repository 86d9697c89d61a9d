//! A configuration as text again: every key with its value, as a file would say it.

use std::path::Path;

use ipnet::IpNet;
use toml::Value;

use super::Config;
use super::values::{LEVELS, PROTECTS, PROTOCOLS, SCOPES, TAGS, WRITERS};

/// One key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The key, dotted: `log.prefix`.
    pub key: &'static str,
    /// The value as TOML.
    pub value: String,
}

/// Every key of the configuration, in the order of the shipped file. As lines `key = value` they are a file that means
/// the same.
pub fn values(config: &Config) -> Vec<Shown> {
    let Config { rules, log, state, control, records, metrics, .. } = config;
    let prefixes = &log.prefixes;
    let patterns = config.selection.patterns.iter().map(|pattern| pattern.as_str().to_owned());
    let protocols = config.protocols.iter().map(|protocol| word(&PROTOCOLS, protocol));
    let shown = [
        ("namespaces", list(patterns)),
        ("namespace_directories", list(config.namespace_directories.iter().map(path))),
        ("period", Value::from(whole(config.period.as_secs()))),
        ("debug", Value::from(config.debug)),
        ("protocols", list(protocols)),
        ("networks_scope", Value::from(word(&SCOPES, &config.networks_scope))),
        ("networks", networks(config)),
        ("rules.table", Value::from(rules.table.as_str())),
        ("rules.chain", Value::from(rules.chain.as_str())),
        ("rules.priority", Value::from(i64::from(rules.priority))),
        ("rules.protect", Value::from(word(&PROTECTS, &rules.protect))),
        ("log.prefix", Value::from(prefixes.base.as_str())),
        ("log.prefix_dnat", Value::from(prefixes.dnat.as_str())),
        ("log.prefix_other", Value::from(prefixes.other.as_str())),
        ("log.namespace", Value::from(word(&TAGS, &prefixes.namespace))),
        ("log.level", Value::from(word(&LEVELS, &log.level))),
        ("log.writer", Value::from(word(&WRITERS, &log.writer))),
        ("log.directory", Value::from(path(&log.directory))),
        ("state.directory", Value::from(path(&state.directory))),
        ("state.hash_file", Value::from(state.hash_file.as_ref().map(path).unwrap_or_default())),
        ("control.socket", Value::from(path(&control.socket))),
        ("records.enabled", Value::from(records.enabled)),
        ("records.file", Value::from(path(&records.file))),
        ("records.buffer", Value::from(whole(records.buffer))),
        ("records.end", Value::from(records.end)),
        ("records.destination", Value::from(records.destination)),
        (
            "metrics.listen",
            Value::from(metrics.listen.map(|to| to.to_string()).unwrap_or_default()),
        ),
        ("metrics.textfile", Value::from(metrics.textfile.as_ref().map(path).unwrap_or_default())),
        ("metrics.namespaces", Value::from(metrics.namespaces)),
    ];
    shown.into_iter().map(|(key, value)| Shown { key, value: value.to_string() }).collect()
}

fn networks(config: &Config) -> Value {
    let of_namespace = |(name, networks): (&String, &Vec<IpNet>)| {
        (name.clone(), list(networks.iter().map(ToString::to_string)))
    };
    Value::Table(config.networks.iter().map(of_namespace).collect())
}

fn list(texts: impl Iterator<Item = String>) -> Value {
    Value::Array(texts.map(Value::from).collect())
}

/// Checked numbers are far below the limit.
fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Paths were read from TOML, so they are UTF-8.
fn path(path: impl AsRef<Path>) -> String {
    path.as_ref().to_string_lossy().into_owned()
}

/// The first word for a value is the one that is shown.
fn word<T: PartialEq>(words: &[(&str, T)], value: &T) -> String {
    let found = words.iter().find(|(_, known)| known == value);
    found.map(|(word, _)| (*word).to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn text(config: &Config) -> String {
        let lines =
            values(config).into_iter().map(|shown| format!("{} = {}\n", shown.key, shown.value));
        lines.collect()
    }

    #[test]
    fn what_is_shown_means_the_same() {
        let unusual = "
            namespaces = ['a\\.b', 'default']
            period = 5
            debug = true
            protocols = ['udp', 'icmp']
            networks_scope = 'outgoing'
            networks = { 'a b' = ['10.0.0.0/8', 'fd00::/8'] }
            rules = { table = 't', chain = 'c', priority = 7, protect = 'on' }
            log = { prefix = 'P', prefix_dnat = '1', prefix_other = '2', namespace = 'name', level = 'error', writer = 'agent', directory = '/l' }
            state = { directory = '/s', hash_file = '' }
            control = { socket = '/c' }
            records = { enabled = false, file = '/r', buffer = 65536, end = true, destination = false }
            metrics = { listen = '[::1]:9842', textfile = '/m.prom', namespaces = true }
        ";
        for config in [Config::default(), parse(unusual).unwrap()] {
            assert_eq!(parse(&text(&config)), Ok(config.clone()), "{}", text(&config));
        }
    }
}
