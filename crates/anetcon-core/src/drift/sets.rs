//! Differences of sets, element by element in the form in which nft shows them.

use super::{Change, Drift, pair, unsorted};
use crate::render;
use crate::table::Set;

/// How many elements a drift names; the rest is counted.
const NAMED: usize = 3;

pub(super) fn compare(wanted: &[Set], observed: &[Set]) -> Vec<Drift> {
    let pairing = pair(wanted, observed, |set| &set.name);
    // Whoever made an unexpected one chose its name.
    let name = |set: &&Set| render::name(&set.name);
    let mut drift: Vec<Drift> =
        pairing.missing.iter().map(|set| Drift::SetMissing { set: name(set) }).collect();
    drift.extend(pairing.both.iter().flat_map(|(wanted, observed)| set(wanted, observed)));
    drift.extend(pairing.unexpected.iter().map(|set| Drift::SetUnexpected { set: name(set) }));
    drift.extend(unsorted("sets", &drift, wanted == observed));
    drift
}

fn set(wanted: &Set, observed: &Set) -> Vec<Drift> {
    let types = (wanted.key_type, wanted.key_len) == (observed.key_type, observed.key_len);
    let changes = [
        Change::between("flags", &wanted.flags, &observed.flags, |&flags| {
            render::set_flags(flags).unwrap_or_else(|| "none".to_owned())
        }),
        (!types).then(|| Change {
            property: "type",
            observed: render::set_type(observed),
            wanted: render::set_type(wanted),
        }),
    ];
    let mut drift: Vec<Drift> = changes
        .into_iter()
        .flatten()
        .map(|change| Drift::SetChanged { set: wanted.name.clone(), change })
        .collect();
    drift.extend(elements(wanted, observed));
    drift.extend(unsorted("elements", &drift, wanted == observed));
    drift
}

fn elements(wanted: &Set, observed: &Set) -> Vec<Drift> {
    if wanted.elements == observed.elements {
        return Vec::new();
    }
    let (wanted_items, observed_items) = (render::items(wanted), render::items(observed));
    let missing = without(&wanted_items, &observed_items);
    let unexpected = without(&observed_items, &wanted_items);
    let set = || wanted.name.clone();
    let first = |items: &[String]| items.iter().take(NAMED).cloned().collect();
    let mut drift = Vec::new();
    if !missing.is_empty() {
        let (count, first) = (missing.len(), first(&missing));
        drift.push(Drift::ElementsMissing { set: set(), count, first });
    }
    if !unexpected.is_empty() {
        let (count, first) = (unexpected.len(), first(&unexpected));
        drift.push(Drift::ElementsUnexpected { set: set(), count, first });
    }
    drift
}

/// The items of one list that the other lacks, each as often as it is lacking, in their own order.
fn without(items: &[String], other: &[String]) -> Vec<String> {
    let mut there: Vec<&String> = other.iter().collect();
    there.sort_unstable();
    let mut used = vec![false; there.len()];
    items.iter().filter(|item| !take(item, &there, &mut used)).cloned().collect()
}

/// Takes one unused occurrence of an item out of a sorted list.
fn take(item: &String, sorted: &[&String], used: &mut [bool]) -> bool {
    let start = sorted.partition_point(|other| *other < item);
    let free = (start..sorted.len())
        .take_while(|&index| sorted.get(index) == Some(&item))
        .find(|&index| used.get(index) == Some(&false));
    if let Some(slot) = free.and_then(|index| used.get_mut(index)) {
        *slot = true;
    }
    free.is_some()
}
