//! What is shipped for Prometheus and Grafana fits the agent: promtool is content, and every number that is asked for is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not right")]
#![allow(clippy::indexing_slicing, reason = "a missing member of a JSON document is null")]

mod metrics_kit;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::netns::Netns;
use serde_json::Value;

use self::metrics_kit::*;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(shipped(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The names of alerts.
fn alerts() -> Vec<String> {
    let rules = text("conf/monitoring/anetcon.rules");
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

/// The queries of the dashboard, with what Grafana would put in the place of its variables.
fn queries() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&text("conf/monitoring/anetcon.dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    queries
        .map(|query| {
            let query = query.replace("$__rate_interval", "5m").replace("$__range", "6h");
            query.replace("$instance", ".*")
        })
        .collect()
}

/// Every word of a text that is the name of a metric of the agent.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|word| word.starts_with("anetcon_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

#[test]
fn promtool_is_content_with_the_rules_and_the_scrape_example() {
    let (ok, said) = promtool(&["check", "rules"], &shipped("conf/monitoring/anetcon.rules"));
    assert!(ok && said.contains("10 rules found"), "{said}");
    let scrape = shipped("conf/monitoring/prometheus.yml.d/anetcon.yml");
    let (ok, said) = promtool(&["check", "config", "--syntax-only"], &scrape);
    assert!(ok, "{said}");
}

#[test]
fn every_alert_fires_when_it_should_and_none_when_all_is_well() {
    let (ok, said) =
        promtool(&["test", "rules"], &shipped("conf/monitoring/anetcon.rules.test.yml"));
    assert!(ok && said.contains("SUCCESS"), "{said}");
    let tests = text("conf/monitoring/anetcon.rules.test.yml");
    assert_eq!(alerts().len(), 10);
    for alert in alerts() {
        let silent = format!("alertname: {alert}\n        exp_alerts: []\n");
        assert!(tests.contains(&silent), "{alert} is not tried when all is well");
        let fires = format!("alertname: {alert}\n        exp_alerts:\n          - exp_labels:\n");
        assert!(tests.contains(&fires), "{alert} is not tried when something is wrong");
    }
}

#[test]
fn a_rule_that_never_fires_would_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let rules = text("conf/monitoring/anetcon.rules");
    let tests = text("conf/monitoring/anetcon.rules.test.yml");
    let file = folder.path().join("anetcon.rules.test.yml");
    fs::write(&file, tests).unwrap();
    for (right, wrong) in [("!= 1", "!= 2"), ("unless on (instance)", "unless"), ("> 20", "> 200")]
    {
        assert!(rules.contains(right));
        fs::write(folder.path().join("anetcon.rules"), rules.replace(right, wrong)).unwrap();
        let (ok, said) = promtool(&["test", "rules"], &file);
        assert!(!ok && said.contains("FAILED"), "{right} -> {wrong}: {said}");
    }
}

#[test]
fn every_alert_has_its_words_and_its_section_in_the_runbook() {
    let (rules, runbook) = (text("conf/monitoring/anetcon.rules"), text("docs/monitoring.md"));
    for alert in alerts() {
        let rule = rules.split("- alert: ").find(|rule| rule.starts_with(&format!("{alert}\n")));
        let rule = rule.unwrap();
        for word in ["severity: ", "summary: ", "description: "] {
            assert!(rule.contains(word), "{alert} has no {word}");
        }
        let url = format!("runbook_url: docs/monitoring.md#{}\n", alert.to_lowercase());
        assert!(rule.contains(&url), "{alert}: {url}");
        assert!(runbook.contains(&format!("\n### {alert}\n")), "{alert} is not in the runbook");
    }
}

#[test]
fn prometheus_understands_every_query_of_the_dashboard() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queries.rules");
    let rules = |queries: &[String]| {
        let rule = |(number, query): (usize, &String)| {
            format!(
                "      - record: query:{number}\n        expr: {}\n",
                Value::from(query.as_str())
            )
        };
        let rules: String = queries.iter().enumerate().map(rule).collect();
        fs::write(&file, format!("groups:\n  - name: queries\n    rules:\n{rules}")).unwrap();
        promtool(&["check", "rules"], &file)
    };
    let mut queries = queries();
    assert!(queries.len() > 20, "{queries:#?}");
    let (ok, said) = rules(&queries);
    assert!(ok, "{said}");
    queries.push("sum(rate(anetcon_records_total[5m])".to_owned());
    assert!(!rules(&queries).0, "a bracket is missing");
}

#[test]
fn every_number_that_is_asked_for_is_told_and_every_one_that_is_told_is_explained() {
    let netns = Netns::new("metshipped");
    let mut configuration = Configuration::auditing(&[netns.name()]);
    configuration.metrics_namespaces = true;
    let agent = Agent::start(Path::new(env!("CARGO_BIN_EXE_anetcond")), configuration);
    agent.wait_audited(1);
    let mut told = Page::of(&agent).names();
    let histogram = "anetcon_repair_duration_seconds";
    let explained = metrics_in(&text("docs/monitoring.md"));
    let asked = [
        ("the rules", metrics_in(&text("conf/monitoring/anetcon.rules"))),
        ("their tests", metrics_in(&text("conf/monitoring/anetcon.rules.test.yml"))),
        ("the dashboard", metrics_in(&queries().join("\n"))),
    ];
    for (what, asked) in asked {
        let missing: Vec<_> = asked.difference(&told).collect();
        assert!(asked.len() > 9 && missing.is_empty(), "{what} asks for {missing:?}");
    }
    told.retain(|name| !name.starts_with(histogram));
    told.insert(histogram.to_owned());
    assert_eq!(told, explained);
}
