//! A chain as nft prints it, with nft's names for hooks, priorities and policies.

use super::words::{name, quoted};
use crate::table::{BaseChain, Chain};

/// The chain and its rules.
pub(super) fn block(chain: &Chain) -> String {
    let mut text = format!("\tchain {} {{\n", name(&chain.name));
    if let Some(base) = &chain.base {
        text.push_str(&format!("\t\t{}\n", attachment(base)));
    }
    for rule in &chain.rules {
        text.push_str(&format!("\t\t{}\n", super::rule(rule)));
    }
    text + "\t}\n"
}

fn attachment(base: &BaseChain) -> String {
    let kind = match base.kind.as_str() {
        "nat" | "filter" | "route" => base.kind.clone(),
        odd => quoted(odd),
    };
    format!(
        "type {kind} hook {} priority {}; policy {};",
        hook_name(base.hook),
        priority(base),
        policy_name(base.policy)
    )
}

/// `NF_INET_*` of linux/netfilter.h.
pub(crate) fn hook_name(hook: u32) -> String {
    let names = ["prerouting", "input", "forward", "output", "postrouting", "ingress"];
    let known = usize::try_from(hook).ok().and_then(|hook| names.get(hook));
    known.map_or_else(|| hook.to_string(), |name| (*name).to_owned())
}

/// `NF_DROP` and `NF_ACCEPT`.
pub(crate) fn policy_name(policy: u32) -> String {
    match policy {
        0 => "drop".to_owned(),
        1 => "accept".to_owned(),
        other => other.to_string(),
    }
}

/// nft's names of priorities (nft(8), "standard priority names"): two of them hold at one hook only.
const PRIORITIES: [(i32, &str, Option<u32>); 6] = [
    (-300, "raw", None),
    (-150, "mangle", None),
    (-100, "dstnat", Some(0)),
    (0, "filter", None),
    (50, "security", None),
    (100, "srcnat", Some(4)),
];

/// nft names a priority after a standard one that is at most 10 away.
fn priority(base: &BaseChain) -> String {
    let near = |&&(standard, _, hook): &&(i32, &str, Option<u32>)| {
        base.priority.abs_diff(standard) <= 10 && hook.is_none_or(|hook| hook == base.hook)
    };
    let Some((standard, name, _)) = PRIORITIES.iter().find(near) else {
        return base.priority.to_string();
    };
    let distance = base.priority.abs_diff(*standard);
    match base.priority.cmp(standard) {
        std::cmp::Ordering::Less => format!("{name} - {distance}"),
        std::cmp::Ordering::Equal => (*name).to_owned(),
        std::cmp::Ordering::Greater => format!("{name} + {distance}"),
    }
}
