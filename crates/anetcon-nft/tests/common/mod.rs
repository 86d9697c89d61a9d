//! What the kernel tests share: a fresh namespace with our socket and nft in it.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot be set up ends here")]

use std::io::Write;
use std::process::{Output, Stdio};

use anetcon_core::config::Config;
use anetcon_core::desired;
use anetcon_core::netns::NetnsName;
use anetcon_core::plan::{Plan, plan};
use anetcon_core::table::Table;
use anetcon_nft::{Error, RulesSocket};
use anetcon_testkit::netns::Netns;
use serde_json::Value;

/// The name that our tables call their namespace; its hash is 5d41402a.
pub const NAME: &str = "hello";

/// A namespace of the test's own, with our socket inside.
pub struct Place {
    pub netns: Netns,
    pub rules: RulesSocket,
}

impl Place {
    pub fn new(label: &str) -> Self {
        let netns = Netns::new(label);
        let rules = netns.run(RulesSocket::open).unwrap();
        Self { netns, rules }
    }

    /// A namespace in which `wanted` is in force.
    pub fn with(label: &str, wanted: &Table) -> Self {
        let mut place = Self::new(label);
        place.write(wanted).unwrap();
        place
    }

    /// Writes the table, whatever is there.
    pub fn write(&mut self, wanted: &Table) -> Result<(), Error> {
        let observed = self.rules.observe(&wanted.name).unwrap();
        self.rules.apply(&Plan::Replace {
            wanted: wanted.clone(),
            existing_flags: observed.table.map(|table| table.flags),
            drift: Vec::new(),
        })
    }

    /// What is to be done for `wanted` to be in force.
    pub fn plan(&mut self, wanted: &Table) -> Plan {
        plan(Some(wanted), &self.rules.observe(&wanted.name).unwrap())
    }

    /// Our table as the kernel has it.
    pub fn table(&mut self) -> Option<Table> {
        self.rules.observe("anetcon").unwrap().table
    }

    /// The output of `nft` with these arguments, which must succeed.
    pub fn nft(&self, arguments: &[&str]) -> String {
        let output = self.netns.command("nft").args(arguments).output().unwrap();
        succeeded(&output, &arguments.join(" "))
    }

    /// Runs a script of nft commands as one transaction.
    pub fn nft_file(&self, script: &str) {
        let mut command = self.netns.command("nft");
        command.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        succeeded(&child.wait_with_output().unwrap(), script);
    }

    /// Our table as `nft` prints it.
    pub fn listing(&self) -> String {
        self.nft(&["list", "table", "inet", "anetcon"])
    }

    /// Our table as `nft -j` prints it: one object per table, chain, set and rule.
    pub fn json(&self) -> Vec<Value> {
        let text = self.nft(&["-j", "list", "table", "inet", "anetcon"]);
        let mut value: Value = serde_json::from_str(&text).unwrap();
        match value["nftables"].take() {
            Value::Array(objects) => objects,
            other => panic!("{other}"),
        }
    }

    /// The handle of the rule with this comment, for nft's commands.
    pub fn handle(&self, comment: &str) -> String {
        let objects = self.json();
        let rule = objects.iter().find(|object| object["rule"]["comment"] == comment);
        rule.unwrap_or_else(|| panic!("no rule {comment}"))["rule"]["handle"].to_string()
    }

    /// The text of the rule with this comment.
    pub fn rule_text(&self, comment: &str) -> String {
        let listing = self.listing();
        let line = listing.lines().find(|line| line.contains(&format!("comment \"{comment}\"")));
        line.unwrap_or_else(|| panic!("no rule {comment}")).trim().to_owned()
    }
}

fn succeeded(output: &Output, what: &str) -> String {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The table that the default configuration wants, limited to these networks.
pub fn wanted(networks: &[&str]) -> Table {
    wanted_by(Config::default(), networks)
}

/// The table that a configuration wants, limited to these networks.
pub fn wanted_by(mut config: Config, networks: &[&str]) -> Table {
    if !networks.is_empty() {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        config.networks.insert(NAME.to_owned(), networks);
    }
    desired::table(&config, &NetnsName::named(NAME).unwrap()).unwrap()
}
