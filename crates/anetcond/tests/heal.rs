//! Whatever somebody does to our table, the agent puts it back, and says what it was and who did it.

#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

use std::path::Path;
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::netns::{Netns, wait_until};
use serde_json::Value;

const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// Ends a broken test; no repair takes anywhere near as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A namespace that an agent audits, limited to a network so that there are sets to tamper with.
struct Audited {
    netns: Netns,
    agent: Agent,
    table: String,
    /// Our table as nft saw it before anybody touched it.
    intact: String,
}

impl Audited {
    fn new(label: &str) -> Self {
        let netns = Netns::new(label);
        let mut configuration = Configuration::auditing(&[netns.name()]);
        configuration.networks.insert(netns.name().to_owned(), vec!["10.0.0.0/8".to_owned()]);
        let table = configuration.table.clone();
        let agent = Agent::start(Path::new(ANETCOND), configuration);
        agent.wait_audited(1);
        let mut audited = Self { netns, agent, table, intact: String::new() };
        audited.intact = audited.listing();
        audited
    }

    /// Our table as nft prints it, without the numbers that counters show.
    fn listing(&self) -> String {
        let output = self
            .netns
            .command("nft")
            .args(["--stateless", "list", "table", "inet", &self.table])
            .output()
            .expect("nft runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs one nft script inside the namespace; `TABLE` in it is our table, `CHAIN` our chain with it.
    fn tamper(&self, script: &str) {
        let table = format!("inet {}", self.table);
        // The chain has the table's name.
        let chain = format!("{table} {}", self.table);
        let script = script.replace("CHAIN", &chain).replace("TABLE", &table);
        let output = self.netns.command("nft").arg(&script).output().expect("nft runs");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn repairs(&self) -> u64 {
        self.agent.status()["repairs"]["total"].as_u64().expect("a number")
    }

    /// Tampers, waits for the repair, and checks that everything is as it was. The repair, as the status tells it.
    fn heals(&self, script: &str) -> Value {
        let before = self.repairs();
        self.tamper(script);
        let status = self.agent.wait_for_status(&format!("repair of `{script}`"), |status| {
            status["repairs"]["total"].as_u64() > Some(before)
        });
        wait_until(&format!("the table is intact after `{script}`"), PATIENCE, || {
            self.listing() == self.intact
        });
        status["repairs"]["last"][0].clone()
    }
}

/// What is done with nft, and a word that the report of the repair must hold.
const TAMPERINGS: &[(&str, &str)] = &[
    ("delete table TABLE", "table missing"),
    ("flush ruleset", "table missing"),
    ("flush chain CHAIN", "missing"),
    ("flush table TABLE", "missing"),
    ("insert rule CHAIN accept", "inserted"),
    ("add rule CHAIN counter", "rule"),
    ("add table TABLE { flags dormant; }", "dormant"),
    ("add chain TABLE more", "chain"),
    ("add element TABLE networks4 { 192.0.2.0/24 }", "networks4"),
    ("delete element TABLE networks4 { 10.0.0.0/8 }", "networks4"),
    ("add set TABLE more { type ipv4_addr; }", "set"),
];

#[test]
fn every_tampering_with_nft_is_repaired_and_named() {
    let audited = Audited::new("heal");
    for (script, word) in TAMPERINGS {
        let repair = audited.heals(script);
        let reasons = repair["reasons"].to_string();
        assert!(reasons.contains(word), "`{script}` is told as {reasons}, without `{word}`");
        assert_eq!(repair["namespace"], audited.netns.name(), "{repair}");
        assert_eq!(repair["authors"][0]["name"], "nft", "`{script}`: {repair}");
        assert!(repair["authors"][0]["tid"].as_u64() > Some(0), "{repair}");
    }
}

impl Audited {
    /// The rules of our chain as nft's JSON names them: handle and comment, in order.
    fn rules(&self) -> Vec<(u64, String)> {
        let output = self
            .netns
            .command("nft")
            .args(["-j", "list", "chain", "inet", &self.table, &self.table])
            .output()
            .expect("nft runs");
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let items = json["nftables"].as_array().expect("a list");
        let rules = items.iter().filter_map(|item| item.get("rule"));
        rules
            .map(|rule| {
                let handle = rule["handle"].as_u64().expect("a handle");
                (handle, rule["comment"].as_str().unwrap_or_default().to_owned())
            })
            .collect()
    }
}

#[test]
fn single_rules_are_put_back() {
    let audited = Audited::new("healrule");
    let count = audited.rules().len();
    assert_eq!(count, 2, "one rule for each kind");
    for index in 0..count {
        let (handle, comment) = audited.rules().swap_remove(index);
        let repair = audited.heals(&format!("delete rule CHAIN handle {handle}"));
        assert_eq!(repair["reasons"][0], format!("rule `{comment}` missing"));

        let (handle, comment) = audited.rules().swap_remove(index);
        let other = format!("meta l4proto tcp counter accept comment \"{comment}\"");
        let repair = audited.heals(&format!("replace rule CHAIN handle {handle} {other}"));
        let reason = repair["reasons"][0].as_str().expect("a reason");
        assert!(reason.starts_with(&format!("rule `{comment}` changed to")), "{reason}");
    }
}

#[test]
fn reordered_rules_are_put_in_order() {
    let audited = Audited::new("healorder");
    let (first, _) = audited.rules().swap_remove(0);
    let text = audited.intact.lines().find(|line| line.contains("anetcon float")).expect("a rule");
    // In one transaction: the rule goes and comes back, the same but for its place.
    let moved = format!("delete rule CHAIN handle {first}; add rule CHAIN {}", text.trim());
    let repair = audited.heals(&moved);
    assert!(repair["reasons"].to_string().contains("reordered"), "{repair}");
}

/// Our chain made again with one property changed, its rules kept as they were.
const CHAINS: &[(&str, &str)] = &[
    ("type nat hook output priority -150; policy accept;", "hook"),
    ("type nat hook postrouting priority -140; policy accept;", "priority"),
    ("type nat hook postrouting priority -150; policy drop;", "policy"),
    ("type filter hook postrouting priority -150; policy accept;", "type"),
    ("", "hook"),
];

#[test]
fn a_chain_made_again_differently_is_put_back() {
    let audited = Audited::new("healchain");
    let rules: Vec<&str> =
        audited.intact.lines().filter(|line| line.contains("comment")).map(str::trim).collect();
    for (properties, word) in CHAINS {
        let mut script = "flush chain CHAIN; delete chain CHAIN;".to_owned();
        script += &format!("add chain CHAIN {{ {properties} }};");
        for rule in &rules {
            script += &format!("add rule CHAIN {rule};");
        }
        let repair = audited.heals(&script);
        let reasons = repair["reasons"].to_string();
        assert!(reasons.contains(word), "{properties:?} is told as {reasons}");
    }
}

#[test]
fn what_others_do_in_their_own_tables_is_let_be() {
    let audited = Audited::new("healothers");
    audited.tamper(
        "add table ip other; add chain ip other c { type nat hook postrouting priority 100; }",
    );
    audited.tamper("add rule ip other c masquerade");
    // A real repair afterwards is the sign that the agent has seen all of it.
    audited.heals("delete table TABLE");
    assert_eq!(audited.repairs(), 1, "foreign changes are no reason to repair");
    let output = audited.netns.command("nft").args(["list", "table", "ip", "other"]).output();
    let listing = String::from_utf8(output.expect("nft runs").stdout).expect("text");
    assert!(listing.contains("masquerade"), "the other table is as it was: {listing}");
}

#[test]
fn a_fight_is_slowed_down_and_reported() {
    let audited = Audited::new("healfight");
    for _ in 0..30 {
        audited.tamper("flush ruleset");
        wait_until("the rules are back", PATIENCE, || audited.listing() == audited.intact);
    }
    let status = audited.agent.status();
    assert_eq!(status["namespaces"]["fighting"], 1, "{status:#}");
    let problems = status["verdict"]["problems"].to_string();
    assert!(problems.contains("keeps changing"), "{problems}");
    // The report comes once, not once a repair.
    let told = audited.agent.stderr().matches("repairs are slowed down").count();
    assert_eq!(told, 1, "{}", audited.agent.stderr());
}

#[test]
fn each_repair_is_logged_once() {
    let audited = Audited::new("heallog");
    audited.heals("flush ruleset");
    let stderr = audited.agent.stderr();
    let lines: Vec<&str> = stderr.lines().filter(|line| line.contains("rules restored")).collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    for part in [audited.netns.name(), "table missing", "took_us", "nft (thread "] {
        assert!(lines[0].contains(part), "{part} is missing in: {}", lines[0]);
    }
}
