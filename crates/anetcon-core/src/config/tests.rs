//! The key table against the reader, the checks and the shipped file.

use std::collections::BTreeSet;

use super::section::{SECTIONS, TOP};
use super::{Config, Overrides, parse};

const SHIPPED: &str = include_str!("../../../../conf/anetcon.toml");

/// Each key with a value that is not its default.
const CHANGES: [(&str, &str, &str); 29] = [
    ("", "namespaces", r#"["default"]"#),
    ("", "namespace_directories", r#"["/run/docker/netns"]"#),
    ("", "period", "1"),
    ("", "debug", "true"),
    ("", "protocols", r#"["udp"]"#),
    ("", "networks_scope", r#""outgoing""#),
    ("networks", "default", r#"["10.0.0.0/8"]"#),
    ("rules", "table", r#""audit""#),
    ("rules", "chain", r#""audit""#),
    ("rules", "priority", "-199"),
    ("rules", "protect", r#""off""#),
    ("log", "prefix", r#""""#),
    ("log", "prefix_dnat", r#""[FLOAT]""#),
    ("log", "prefix_other", r#""[NAT]""#),
    ("log", "namespace", r#""name""#),
    ("log", "level", r#""err""#),
    ("log", "writer", r#""agent""#),
    ("log", "directory", r#""/srv/log""#),
    ("state", "directory", r#""/srv/state""#),
    ("state", "hash_file", r#""""#),
    ("control", "socket", r#""/run/a.sock""#),
    ("records", "enabled", "false"),
    ("records", "file", r#""/srv/records.ndjson""#),
    ("records", "buffer", "65536"),
    ("records", "end", "true"),
    ("records", "destination", "false"),
    ("metrics", "listen", r#""127.0.0.1:9842""#),
    ("metrics", "textfile", r#""/srv/anetcon.prom""#),
    ("metrics", "namespaces", "true"),
];

fn file(section: &str, key: &str, value: &str) -> String {
    if section.is_empty() {
        format!("{key} = {value}\n")
    } else {
        format!("[{section}]\n{key} = {value}\n")
    }
}

fn keys() -> Vec<(&'static str, &'static str)> {
    let top = TOP.iter().map(|&key| ("", key));
    let below = SECTIONS
        .into_iter()
        .flat_map(|(section, keys)| keys.iter().map(move |&key| (section, key)));
    top.chain(below).collect()
}

#[test]
fn no_file_at_all_is_the_default() {
    assert_eq!(parse("").unwrap(), Config::default());
}

#[test]
fn the_shipped_file_is_the_default() {
    assert_eq!(parse(SHIPPED).unwrap(), Config::default());
}

#[test]
fn the_shipped_file_sets_every_key_and_explains_it() {
    let lines: Vec<&str> = SHIPPED.lines().collect();
    for (section, key) in keys() {
        let header = lines.iter().position(|line| *line == format!("[{section}]")).unwrap_or(0);
        let at = lines.iter().skip(header).position(|line| line.starts_with(&format!("{key} = ")));
        let at =
            header + at.unwrap_or_else(|| panic!("{section}.{key} is not in the shipped file"));
        assert!(lines[at - 1].starts_with('#'), "{section}.{key} is not explained");
    }
    for (section, _) in SECTIONS {
        assert!(lines.contains(&format!("[{section}]").as_str()), "[{section}] is not there");
    }
}

#[test]
fn every_key_is_read() {
    for (section, key) in keys() {
        let errors = parse(&file(section, key, "2026-11-23")).unwrap_err();
        let [error] = errors.diagnostics.as_slice() else { panic!("{key}: {errors}") };
        assert!(error.message.contains("must be"), "{section}.{key}: {errors}");
    }
}

#[test]
fn every_key_changes_the_configuration() {
    let mut tried = BTreeSet::new();
    for (section, key, value) in CHANGES {
        let config = parse(&file(section, key, value)).unwrap_or_else(|errors| panic!("{errors}"));
        assert_ne!(config, Config::default(), "{section}.{key}");
        tried.insert((section, key));
    }
    tried.remove(&("networks", "default"));
    assert_eq!(tried, keys().into_iter().collect());
}

#[test]
fn values_mean_what_they_say() {
    let config = parse(
        r#"
            namespaces = ["default", "^fip-"]
            period = 86_400
            protocols = ["icmp", "tcp"]
            [rules]
            priority = 99
            [log]
            level = "warn"
        "#,
    )
    .unwrap();
    assert_eq!(config.period.as_secs(), 86400);
    assert_eq!(config.protocols, [super::Protocol::Tcp, super::Protocol::Icmp]);
    assert_eq!(config.rules.priority, 99);
    assert_eq!(config.log.level, super::LogLevel::Warning);
    assert_eq!(config.log.level.number(), 4);
    let patterns: Vec<&str> = config.selection.patterns.iter().map(|p| p.as_str()).collect();
    assert_eq!(patterns, ["default", "^fip-"]);
}

#[test]
fn the_longest_allowed_values_are_allowed() {
    let cases = [
        ("rules", "table", "a".repeat(128)),
        ("log", "prefix", "a".repeat(112)),
        ("control", "socket", format!("/{}", "a".repeat(106))),
        ("log", "directory", format!("/{}", "a".repeat(4094))),
    ];
    for (section, key, value) in cases {
        let longest = parse(&file(section, key, &format!("{value:?}")));
        assert!(longest.is_ok(), "{section}.{key}: {longest:?}");
        let longer = parse(&file(section, key, &format!("{:?}", value + "a")));
        assert!(longer.is_err(), "{section}.{key}");
    }
}

#[test]
fn the_command_line_goes_over_the_file() {
    let file = parse("namespaces = [\"a\"]\nperiod = 7\ndebug = true").unwrap();
    assert_eq!(file.clone().with_overrides(&Overrides::default()).unwrap(), file);
    let overrides = Overrides { namespaces: vec!["default".into()], period: Some(9), debug: false };
    let over = file.with_overrides(&overrides).unwrap();
    assert_eq!(over, parse("namespaces = [\"default\"]\nperiod = 9\ndebug = true").unwrap());
    let verbose = Overrides { debug: true, ..Overrides::default() };
    assert!(Config::default().with_overrides(&verbose).unwrap().debug);
}

#[test]
fn a_bad_command_line_is_refused_in_full() {
    let overrides =
        Overrides { namespaces: vec!["ok".into(), "a[".into()], period: Some(0), debug: false };
    let errors = Config::default().with_overrides(&overrides).unwrap_err();
    assert_eq!(
        errors.render("unused", "", false),
        "error: `-n`: \"a[\" is no regular expression: unclosed character class at character 2\n\
         help: close it, or put a backslash before the bracket to take it literally\n\n\
         error: `-p` must be from 1 to 86400 seconds, not 0\n\
         help: repairs do not wait for it: it is only the fallback for what no event told, and 30 suits most"
    );
}

#[test]
fn a_place_outside_of_the_text_does_not_panic() {
    let errors = parse("period = 0").unwrap_err();
    for text in ["", "ä", "\u{feff}", "period"] {
        assert!(errors.render("f", text, false).contains("`period` must be"), "{text:?}");
    }
}
