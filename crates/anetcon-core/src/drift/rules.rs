//! Differences of two lists of rules, matched by content first and then by comment.

use super::Drift;
use crate::lcs;
use crate::render;
use crate::table::Rule;

/// How many rules that are not ours are shown; the rest is counted.
const SHOWN: usize = 5;

pub(super) fn compare(wanted: &[Rule], observed: &[Rule]) -> Vec<Drift> {
    let (kept_wanted, kept_observed): (Vec<usize>, Vec<usize>) =
        lcs::common(wanted, observed).into_iter().unzip();
    let lost = beside(wanted, &kept_wanted);
    let beside_ours = beside(observed, &kept_observed);
    let (moved, lost, foreign) = split(lost, beside_ours, |rule, other| rule == other);
    let named = |rule: &Rule, other: &Rule| rule.comment.is_some() && rule.comment == other.comment;
    let (changed, lost, foreign) = split(lost, foreign, named);
    let (renamed, lost, foreign) = split(lost, foreign, |rule, other| rule.exprs == other.exprs);
    let explained = [&moved, &changed, &renamed].into_iter().flatten().map(|(_, other)| other.0);
    let last_of_ours = kept_observed.into_iter().chain(explained).max();

    let mut drift: Vec<Drift> =
        lost.into_iter().map(|(_, rule)| Drift::RuleMissing { rule: title(rule) }).collect();
    drift.extend(changed.into_iter().map(|(rule, (_, other))| Drift::RuleChanged {
        rule: title(rule),
        now: render::rule(&Rule { comment: None, exprs: other.exprs.clone() }),
    }));
    drift.extend(renamed.into_iter().map(|(rule, (_, other))| Drift::RuleRenamed {
        rule: title(rule),
        now: other.comment.clone(),
    }));
    let moved: Vec<String> = moved.into_iter().map(|(rule, _)| title(rule)).collect();
    drift.extend((!moved.is_empty()).then_some(Drift::RulesReordered { moved }));
    drift.extend(unexpected(&foreign, last_of_ours));
    drift
}

/// A rule and its position.
type Placed<'a> = (usize, &'a Rule);

/// The rules at positions that are not among these sorted ones.
fn beside<'a>(rules: &'a [Rule], kept: &[usize]) -> Vec<Placed<'a>> {
    rules.iter().enumerate().filter(|(index, _)| kept.binary_search(index).is_err()).collect()
}

/// Rules of ours with what explains their absence, then what is left on both sides.
type Split<'a> = (Vec<(&'a Rule, Placed<'a>)>, Vec<Placed<'a>>, Vec<Placed<'a>>);

/// Pairs rules of ours that are not in their place with foreign ones that explain why; each foreign one
/// explains one of ours.
fn split<'a>(
    lost: Vec<Placed<'a>>,
    mut foreign: Vec<Placed<'a>>,
    explains: impl Fn(&Rule, &Rule) -> bool,
) -> Split<'a> {
    let (mut explained, mut still_lost) = (Vec::new(), Vec::new());
    for (position, rule) in lost {
        match foreign.iter().position(|(_, other)| explains(rule, other)) {
            Some(index) => explained.push((rule, foreign.remove(index))),
            None => still_lost.push((position, rule)),
        }
    }
    (explained, still_lost, foreign)
}

fn unexpected(foreign: &[Placed<'_>], last_of_ours: Option<usize>) -> Vec<Drift> {
    let named = foreign.iter().take(SHOWN).map(|&(position, rule)| {
        let text = render::rule(rule);
        match last_of_ours {
            Some(last) if position < last => Drift::RuleInserted { position, text },
            _ => Drift::RuleUnexpected { position, text },
        }
    });
    let more = foreign.len().saturating_sub(SHOWN);
    named.chain((more > 0).then_some(Drift::MoreRules { count: more })).collect()
}

/// What a rule is called: its comment, or what it does.
fn title(rule: &Rule) -> String {
    rule.comment.clone().unwrap_or_else(|| render::rule(rule))
}
