//! What the selected namespaces must be.

use std::collections::BTreeMap;

use anetcon_core::netns::{NetnsName, ROOT};
use anetcon_core::prefix::NamespaceTag;
use anetcon_core::select::{Pattern, Selection};

use super::facts::{Facts, Namespace};
use super::finding::Finding;

/// A table of connections this full, in percent, is about to refuse new ones.
const FULL: u64 = 80;

/// As many names as fit into a sentence.
const NAMED: usize = 3;

pub fn patterns(facts: &Facts) -> Finding {
    const CHECK: &str = "patterns";
    let idle: Vec<String> = facts
        .config
        .selection
        .patterns
        .iter()
        .filter(|pattern| !facts.namespaces.iter().any(|netns| is_match(pattern, &netns.name)))
        .map(|pattern| pattern.as_str().to_owned())
        .collect();
    let selected = selected(facts).count();
    match idle.is_empty() {
        true => Finding::ok(CHECK, format!("{selected} namespaces are selected")),
        false => Finding::wrong(
            CHECK,
            format!(
                "no namespace matches {} ({selected} are selected by the others)",
                idle.join(", ")
            ),
            "ip netns list, and correct `namespaces` in the configuration",
        ),
    }
}

fn is_match(pattern: &Pattern, name: &str) -> bool {
    let root = (name == ROOT).then(NetnsName::root);
    let name = root.or_else(|| NetnsName::named(name));
    let alone = Selection { patterns: vec![pattern.clone()] };
    name.is_some_and(|name| alone.matches(&name))
}

pub fn hashes(facts: &Facts) -> Finding {
    const CHECK: &str = "hashes";
    if facts.config.log.prefixes.namespace != NamespaceTag::Hash {
        return Finding::not_used(CHECK, "log.namespace is not \"hash\"");
    }
    let mut by_hash: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for netns in selected(facts) {
        by_hash.entry(&netns.hash).or_default().push(&netns.name);
    }
    let twice = by_hash.into_iter().find(|(_, names)| names.len() > 1);
    match twice {
        None => Finding::ok(CHECK, "no two namespaces have the same hash"),
        Some((hash, names)) => Finding::wrong(
            CHECK,
            format!(
                "{} have the same hash {hash}: their lines cannot be told apart",
                names.join(" and ")
            ),
            "set log.namespace = \"name\" in the configuration",
        ),
    }
}

pub fn conntrack_events(facts: &Facts) -> Finding {
    const CHECK: &str = "conntrack_events";
    if !facts.config.records.enabled {
        return Finding::not_used(CHECK, "records.enabled = false");
    }
    let off: Vec<&Namespace> = selected(facts)
        .filter(|netns| netns.events.as_deref().is_ok_and(|value| value.trim() == "0"))
        .collect();
    match off.first() {
        Some(first) => Finding::wrong(
            CHECK,
            format!("connection events are off in {}: nothing is put on record there", names(&off)),
            in_netns(first, "sysctl -w net.netfilter.nf_conntrack_events=1"),
        ),
        None => read(CHECK, facts, |netns| &netns.events, "connection events are on"),
    }
}

pub fn conntrack_table(facts: &Facts) -> Finding {
    const CHECK: &str = "conntrack_table";
    let number = |text: &Result<String, String>| text.as_ref().ok()?.trim().parse::<u64>().ok();
    let fill = |netns: &Namespace| {
        let (count, max) = number(&netns.count).zip(number(&netns.max))?;
        (max > 0).then(|| count.saturating_mul(100) / max)
    };
    let full: Vec<&Namespace> =
        selected(facts).filter(|netns| fill(netns).is_some_and(|fill| fill >= FULL)).collect();
    match full.first() {
        // The limit is one for all namespaces, and can be set in the root namespace only.
        Some(first) => Finding::wrong(
            CHECK,
            format!(
                "the table of connections is {} % full in {}",
                fill(first).unwrap_or(0),
                names(&full)
            ),
            format!(
                "sysctl -w net.netfilter.nf_conntrack_max={}",
                number(&first.max).unwrap_or(0) * 2
            ),
        ),
        None => read(CHECK, facts, |netns| &netns.count, "no table of connections is nearly full"),
    }
}

/// Fine, unless some namespace could not be asked.
fn read(
    check: &'static str,
    facts: &Facts,
    fact: fn(&Namespace) -> &Result<String, String>,
    fine: &str,
) -> Finding {
    let unread = selected(facts).find_map(|netns| Some((netns, fact(netns).as_ref().err()?)));
    match unread {
        None => Finding::ok(check, fine),
        Some((netns, error)) => Finding::cannot_tell(check, format!("{}: {error}", netns.name)),
    }
}

pub(super) fn selected(facts: &Facts) -> impl Iterator<Item = &Namespace> {
    facts.namespaces.iter().filter(|netns| netns.selected)
}

fn names(namespaces: &[&Namespace]) -> String {
    let named: Vec<&str> = namespaces.iter().take(NAMED).map(|netns| netns.name.as_str()).collect();
    match namespaces.len() {
        count if count > NAMED => format!("{} and {} more", named.join(", "), count - NAMED),
        _ => named.join(", "),
    }
}

pub(super) fn in_netns(netns: &Namespace, command: &str) -> String {
    match netns.name == ROOT {
        true => command.to_owned(),
        false => format!("ip netns exec {} {command}", netns.name),
    }
}
