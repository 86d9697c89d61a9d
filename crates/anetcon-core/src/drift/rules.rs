//! Differences of two lists of rules, matched by content first and then by comment.

use super::Drift;
use crate::lcs;
use crate::render;
use crate::table::Rule;

/// How many rules that are not ours are shown; the rest is counted.
const SHOWN: usize = 5;

pub(super) fn compare(wanted: &[Rule], observed: &[Rule]) -> Vec<Drift> {
    let common = lcs::common(wanted, observed);
    let last_of_ours = common.last().map(|&(_, position)| position);
    let rest = |list: &mut dyn Iterator<Item = usize>, kept: &[usize]| -> Vec<usize> {
        list.filter(|index| kept.binary_search(index).is_err()).collect()
    };
    let (kept_wanted, kept_observed): (Vec<usize>, Vec<usize>) = common.into_iter().unzip();
    let lost = rest(&mut (0..wanted.len()), &kept_wanted);
    let mut foreign: Vec<(usize, &Rule)> = rest(&mut (0..observed.len()), &kept_observed)
        .into_iter()
        .filter_map(|position| Some((position, observed.get(position)?)))
        .collect();
    let lost: Vec<&Rule> = lost.into_iter().filter_map(|index| wanted.get(index)).collect();
    let mut drift = explain(lost, &mut foreign);
    drift.extend(unexpected(&foreign, last_of_ours));
    drift
}

/// What became of each rule that is not where it should be. What explains one is taken out of `foreign`.
fn explain<'a>(lost: Vec<&'a Rule>, foreign: &mut Vec<(usize, &'a Rule)>) -> Vec<Drift> {
    let (moved, lost) = split(lost, foreign, |rule, other| rule == other);
    let (changed, lost) =
        split(lost, foreign, |rule, other| rule.comment.is_some() && rule.comment == other.comment);
    let (renamed, lost) = split(lost, foreign, |rule, other| rule.exprs == other.exprs);
    let mut drift: Vec<Drift> =
        lost.into_iter().map(|rule| Drift::RuleMissing { rule: title(rule) }).collect();
    drift.extend(changed.into_iter().map(|(rule, other)| Drift::RuleChanged {
        rule: title(rule),
        now: render::rule(&Rule { comment: None, exprs: other.exprs.clone() }),
    }));
    drift.extend(
        renamed.into_iter().map(|(rule, other)| Drift::RuleRenamed {
            rule: title(rule),
            now: other.comment.clone(),
        }),
    );
    if !moved.is_empty() {
        let moved = moved.into_iter().map(|(rule, _)| title(rule)).collect();
        drift.push(Drift::RulesReordered { moved });
    }
    drift
}

type Explained<'a> = Vec<(&'a Rule, &'a Rule)>;

/// Pairs rules of ours with foreign ones that explain them; each foreign one explains one of ours.
fn split<'a>(
    lost: Vec<&'a Rule>,
    foreign: &mut Vec<(usize, &'a Rule)>,
    explains: impl Fn(&Rule, &Rule) -> bool,
) -> (Explained<'a>, Vec<&'a Rule>) {
    let (mut explained, mut still_lost) = (Vec::new(), Vec::new());
    for rule in lost {
        match foreign.iter().position(|(_, other)| explains(rule, other)) {
            Some(index) => explained.push((rule, foreign.remove(index).1)),
            None => still_lost.push(rule),
        }
    }
    (explained, still_lost)
}

fn unexpected(foreign: &[(usize, &Rule)], last_of_ours: Option<usize>) -> Vec<Drift> {
    let mut drift: Vec<Drift> = foreign
        .iter()
        .take(SHOWN)
        .map(|&(position, rule)| {
            let text = render::rule(rule);
            match last_of_ours {
                Some(last) if position < last => Drift::RuleInserted { position, text },
                _ => Drift::RuleAppended { position, text },
            }
        })
        .collect();
    let more = foreign.len().saturating_sub(SHOWN);
    drift.extend((more > 0).then_some(Drift::RulesUnexpected { count: more }));
    drift
}

/// What a rule is called: its comment, or what it does.
fn title(rule: &Rule) -> String {
    rule.comment.clone().unwrap_or_else(|| render::rule(rule))
}
