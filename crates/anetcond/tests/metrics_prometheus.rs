//! Prometheus itself scrapes the agent, evaluates the shipped rules, and answers what the dashboard asks.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not right")]
#![allow(clippy::indexing_slicing, reason = "a missing member of a JSON document is null")]

mod metrics_kit;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::http;
use anetcon_testkit::netns::{Netns, wait_until};
use anetcon_testkit::ruleset::nft;
use serde_json::Value;
use tempfile::TempDir;

const AGENT: &str = "127.0.0.1:9842";
const SERVER: &str = "127.0.0.1:9090";

/// A server has to start, and a scrape to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Prometheus in the namespace of the agent.
struct Prometheus<'a> {
    netns: &'a Netns,
    child: Child,
    _folder: TempDir,
}

impl<'a> Prometheus<'a> {
    fn start(netns: &'a Netns) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/monitoring");
        let scrape = fs::read_to_string(shipped.join("prometheus.yml.d/anetcon.yml")).unwrap();
        // The example's machines become the one there is.
        let scrape = scrape.replace("          - 192.0.2.12:9842\n", "");
        let scrape = scrape.replace("192.0.2.11:9842", AGENT);
        let rules = shipped.join("anetcon.rules");
        let global = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n";
        let config = format!("{global}rule_files: [{}]\n{scrape}", rules.display());
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let mut command = netns.command("prometheus");
        command.arg(format!("--config.file={}/prometheus.yml", folder.path().display()));
        command.arg(format!("--storage.tsdb.path={}/data", folder.path().display()));
        command.arg(format!("--web.listen-address={SERVER}"));
        let said = fs::File::create(folder.path().join("said")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(said).spawn().unwrap();
        Self { netns, child, _folder: folder }
    }

    /// What an instant query answers: one entry for each series. Nothing before the server is there.
    fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/api/v1/query?query={encoded}");
        let address: SocketAddr = SERVER.parse().unwrap();
        let Ok(answer) = self.netns.run(|| http::request_tcp(address, "GET", &path)) else {
            return Vec::new();
        };
        let answer: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    fn number(&self, query: &str) -> Option<f64> {
        self.query(query).first()?["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus<'_> {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_prometheus_scrapes_is_what_the_agent_tells() {
    let netns = Netns::new("metprom");
    netns.bring_lo_up();
    let mut configuration = Configuration::auditing(&[netns.name()]);
    configuration.metrics_listen = AGENT.to_owned();
    configuration.metrics_namespaces = true;
    let mut agent = Agent::prepared(Path::new(env!("CARGO_BIN_EXE_anetcond")), configuration);
    agent.run_inside(&netns);
    agent.start_again();
    agent.wait_audited(1);
    let prometheus = Prometheus::start(&netns);
    wait_until("it is scraped", PATIENCE, || prometheus.number("up{job=\"anetcon\"}") == Some(1.0));

    let told = metrics_kit::Page::of(&agent).0.len();
    let scraped = wait_until("all series are there", PATIENCE, || {
        prometheus.number("count({job=\"anetcon\",__name__=~\"anetcon_.*|process_.*\"})")
    });
    assert!((scraped - told as f64).abs() < f64::EPSILON, "{scraped} of {told} series");
    let named = format!("anetcon_namespace_audited{{namespace=\"{}\"}}", netns.name());
    assert_eq!(prometheus.number(&named), Some(1.0));

    nft(&netns, "flush ruleset");
    let median =
        "histogram_quantile(0.5, sum by (le) (rate(anetcon_repair_duration_seconds_bucket[5m])))";
    wait_until("the repair is in the histogram", PATIENCE, || {
        prometheus.number(median).filter(|seconds| (0.0..10.0).contains(seconds))
    });
    // In a namespace that is not the first one the sysctl cannot be read: this alert must know that.
    wait_until("an alert is raised", PATIENCE, || {
        prometheus.number("ALERTS{alertname=\"AnetconNfLogAllNetnsOff\"}")
    });
    drop(agent);
    wait_until("the agent is missed", PATIENCE, || {
        prometheus.number("ALERTS{alertname=\"AnetconAgentDown\"}")
    });
    assert_eq!(prometheus.number("ALERTS{alertname=\"AnetconReloadFailed\"}"), None);
}
