//! What others have in the namespaces that takes connections away from our rules.

use anetcon_core::expr::kernel;
use anetcon_core::ruleset::{ForeignChain, Ruleset};

use super::facts::{Facts, Namespace};
use super::finding::Finding;
use super::namespaces::{in_netns, selected};

/// The least priority that the kernel takes for a nat chain of ours: connection tracking runs at -200.
const LEAST: i32 = -199;

/// Packets that are not tracked have no connection: no rule of ours sees them, and there is no record.
pub fn untracked(facts: &Facts) -> Finding {
    const CHECK: &str = "notrack";
    let found =
        rulesets(facts).find_map(|(netns, ruleset)| Some((netns, ruleset.untracked.first()?)));
    match found {
        None => unless_unread(CHECK, facts, "nothing is kept from connection tracking"),
        Some((netns, rule)) => {
            let place = &rule.place;
            let (family, table, chain) = (place.family, &place.table, &place.chain);
            Finding::wrong(
                CHECK,
                format!(
                    "{}: a rule in {family} {table} {chain} keeps packets from connection tracking",
                    netns.name
                ),
                in_netns(
                    netns,
                    &format!("nft delete rule {family} {table} {chain} handle {}", rule.handle),
                ),
            )
        }
    }
}

/// A connection whose source is settled skips the nat chains after that.
pub fn nat_order(facts: &Facts) -> Finding {
    const CHECK: &str = "nat_order";
    let ours = facts.config.rules.priority;
    let before = |chain: &&ForeignChain| {
        let is_ours = chain.place.family == "inet" && chain.place.table == facts.config.rules.table;
        let early = chain.base.as_ref().is_some_and(|base| {
            base.kind == "nat" && base.hook == kernel::HOOK_POSTROUTING && base.priority <= ours
        });
        early && !is_ours
    };
    let found = rulesets(facts).find_map(|(netns, ruleset)| {
        let chain = ruleset.chains.iter().find(before)?;
        Some((netns, chain, chain.base.as_ref().map_or(ours, |base| base.priority)))
    });
    match found {
        None => unless_unread(CHECK, facts, "no nat chain of others comes before ours"),
        Some((netns, chain, priority)) => Finding::wrong(
            CHECK,
            format!(
                "{}: chain {} {} {} has priority {priority} and can hide connections from ours at {ours}",
                netns.name, chain.place.family, chain.place.table, chain.place.chain
            ),
            match priority > LEAST {
                true => format!("set rules.priority = {} in the configuration", priority - 1),
                false => "give that chain a higher priority: ours cannot come before it".to_owned(),
            },
        ),
    }
}

/// What the bash script has left: its chain in the nat table of iptables.
pub fn old_chain(facts: &Facts) -> Finding {
    const CHECK: &str = "old_chain";
    let name = &facts.config.rules.chain;
    let old = |chain: &&ForeignChain| {
        let iptables = matches!(chain.place.family, "ip" | "ip6") && chain.place.table == "nat";
        iptables && chain.place.chain == *name
    };
    let found = rulesets(facts).find(|(_, ruleset)| ruleset.chains.iter().any(|chain| old(&chain)));
    if let Some((netns, _)) = found {
        let tables = format!(
            "iptables -t nat -D POSTROUTING -j {name}; iptables -t nat -F {name}; iptables -t nat -X {name}"
        );
        return Finding::wrong(
            CHECK,
            format!(
                "{}: the chain {name} of the old script logs each connection once more",
                netns.name
            ),
            in_netns(netns, &format!("sh -c '{tables}'")),
        );
    }
    let legacy = selected(facts).find(|netns| {
        netns.legacy.as_deref().is_ok_and(|text| text.lines().any(|line| line == "nat"))
    });
    match legacy {
        None => unless_unread(CHECK, facts, "no chain of the old script is left"),
        Some(netns) => Finding::cannot_tell(
            CHECK,
            format!(
                "{}: look with `iptables-legacy -t nat -S {name}`, which nothing else can read",
                netns.name
            ),
        ),
    }
}

fn rulesets(facts: &Facts) -> impl Iterator<Item = (&Namespace, &Ruleset)> {
    selected(facts).filter_map(|netns| Some((netns, netns.ruleset.as_ref().ok()?)))
}

fn unless_unread(check: &'static str, facts: &Facts, fine: &str) -> Finding {
    let unread = selected(facts).find_map(|netns| Some((netns, netns.ruleset.as_ref().err()?)));
    match unread {
        None => Finding::ok(check, fine),
        Some((netns, error)) => Finding::cannot_tell(check, format!("{}: {error}", netns.name)),
    }
}
