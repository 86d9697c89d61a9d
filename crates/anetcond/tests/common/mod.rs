//! A namespace that an agent audits, and how to see from outside that the agent still repairs.

use std::path::Path;
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::netns::{Netns, wait_until};

/// The agent under test.
pub const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// Ends a broken test; far longer than anything takes that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A namespace and the agent that audits it.
pub struct Audited {
    pub agent: Agent,
    pub netns: Netns,
}

impl Audited {
    pub fn new(label: &str) -> Self {
        Self::prepared(label, |_| {})
    }

    /// With something to be done to the agent before it starts.
    pub fn prepared(label: &str, prepare: impl FnOnce(&mut Agent)) -> Self {
        let netns = Netns::new(label);
        let configuration = Configuration::auditing(&[netns.name()]);
        let mut agent = Agent::prepared(Path::new(ANETCOND), configuration);
        prepare(&mut agent);
        agent.start_again();
        agent.wait_audited(1);
        Self { agent, netns }
    }

    /// Wipes the rules and waits until nft sees them again. The control socket is not used.
    pub fn repair(&self) {
        let flushed = self.netns.command("nft").args(["flush", "ruleset"]).status();
        assert!(flushed.is_ok_and(|status| status.success()), "nft cannot flush the ruleset");
        wait_until("the rules are back", PATIENCE, || self.has_rules());
    }

    /// Whether nft sees both rules of our table.
    pub fn has_rules(&self) -> bool {
        let table = &self.agent.configuration().table;
        let listing = self.netns.command("nft").args(["list", "table", "inet", table]).output();
        let listing =
            String::from_utf8(listing.expect("nft runs").stdout).expect("nft prints text");
        ["anetcon float", "anetcon nat"].iter().all(|comment| listing.contains(comment))
    }
}
