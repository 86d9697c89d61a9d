//! Differences of chains. A missing or unexpected chain is one drift, whatever rules it has.

use super::{Change, Drift, pair, rules, unsorted};
use crate::render;
use crate::table::{BaseChain, Chain};

pub(super) fn compare(wanted: &[Chain], observed: &[Chain]) -> Vec<Drift> {
    let pairing = pair(wanted, observed, |chain| &chain.name);
    // Whoever made an unexpected one chose its name.
    let name = |chain: &&Chain| render::name(&chain.name);
    let mut drift: Vec<Drift> =
        pairing.missing.iter().map(|chain| Drift::ChainMissing { chain: name(chain) }).collect();
    drift.extend(pairing.both.iter().flat_map(|(wanted, observed)| chain(wanted, observed)));
    drift.extend(
        pairing.unexpected.iter().map(|chain| Drift::ChainUnexpected { chain: name(chain) }),
    );
    drift.extend(unsorted("chains", &drift, wanted == observed));
    drift
}

fn chain(wanted: &Chain, observed: &Chain) -> Vec<Drift> {
    let mut drift = match (&wanted.base, &observed.base) {
        (Some(wanted), Some(observed)) => base(wanted, observed),
        (Some(_), None) => vec![Drift::ChainDetached { chain: wanted.name.clone() }],
        (None, Some(_)) => vec![Drift::ChainAttached { chain: wanted.name.clone() }],
        (None, None) => Vec::new(),
    };
    drift.extend(rules::compare(&wanted.rules, &observed.rules));
    drift
}

fn base(wanted: &BaseChain, observed: &BaseChain) -> Vec<Drift> {
    let changes = [
        Change::between("type", &wanted.kind, &observed.kind, Clone::clone),
        Change::between("hook", &wanted.hook, &observed.hook, |&hook| render::hook_name(hook)),
        Change::between("priority", &wanted.priority, &observed.priority, i32::to_string),
        Change::between("policy", &wanted.policy, &observed.policy, |&policy| {
            render::policy_name(policy)
        }),
    ];
    changes.into_iter().flatten().map(Drift::ChainChanged).collect()
}
