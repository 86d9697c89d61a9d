//! Properties of the planner over configurations, over arbitrary tables and over every single edit of one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod properties;

use anetcon_core::observed::{Observed, RuleCounter};
use anetcon_core::plan::{Plan, plan};
use anetcon_core::table::Table;
use anetcon_core::{drift, render};
use properties::edit::edit;
use properties::tables::{any_table, wanted_table};
use proptest::option;
use proptest::prelude::*;

fn observed(table: Option<Table>) -> Observed {
    Observed { table, counters: Vec::new(), generation: 0 }
}

/// What the kernel holds after a plan was carried out.
fn applied(plan: &Plan, before: Observed) -> Observed {
    match plan {
        Plan::Nothing => before,
        Plan::Replace { wanted, .. } | Plan::Refill { wanted, .. } => {
            observed(Some(wanted.clone()))
        }
        Plan::Claim { flags, .. } => {
            let claimed = before.table.map(|table| Table { flags: *flags, ..table });
            observed(claimed)
        }
        Plan::Remove { .. } => observed(None),
    }
}

/// Every difference is seen, has words, and is gone after the plan was carried out.
fn check(wanted: Option<Table>, held: Option<Table>) -> Result<(), TestCaseError> {
    let equal = wanted == held;
    let before = observed(held.clone());
    let plan = plan(wanted.as_ref(), &before);
    prop_assert_eq!(plan == Plan::Nothing, equal);
    if let Plan::Replace { drift, .. } = &plan {
        prop_assert!(!drift.is_empty(), "{:?}", plan);
        prop_assert!(drift.iter().all(|drift| !drift.to_string().is_empty()));
    }
    let diff = render::diff(wanted.as_ref(), held.as_ref());
    prop_assert_eq!(diff.is_empty(), equal);
    let mut after = applied(&plan, before);
    // What else differs in a table is mended once it is ours.
    if let Plan::Claim { .. } = plan {
        let rest = anetcon_core::plan::plan(wanted.as_ref(), &after);
        after = applied(&rest, after);
    }
    prop_assert_eq!(&after.table, &wanted);
    prop_assert_eq!(anetcon_core::plan::plan(wanted.as_ref(), &after), Plan::Nothing);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_plan_leads_from_any_table_to_the_wanted_one(
        wanted in option::of(wanted_table()),
        held in option::of(prop_oneof![any_table(), wanted_table()]),
    ) {
        check(wanted, held)?;
    }

    #[test]
    fn a_plan_leads_from_any_table_to_any_other(
        wanted in option::of(any_table()),
        held in option::of(any_table()),
    ) {
        check(wanted, held)?;
    }

    #[test]
    fn every_single_edit_is_seen(table in wanted_table(), edit in edit()) {
        let edited = edit.of(&table);
        prop_assume!(edited.as_ref() != Some(&table));
        check(Some(table.clone()), edited.clone())?;
        if let Some(edited) = edited {
            let drift = drift::between(&table, &edited);
            prop_assert!(drift.len() <= edit.most_drifts(), "{:?} gives {:?}", edit, drift);
            prop_assert_ne!(render::table(&table), render::table(&edited));
        }
    }

    #[test]
    fn another_order_is_seen(table in any_table(), sets in any::<bool>(), chains in any::<bool>()) {
        let mut other = table.clone();
        match (sets, chains) {
            (true, _) => other.sets.reverse(),
            (_, true) => other.chains.reverse(),
            _ => other.sets.iter_mut().for_each(|set| set.elements.reverse()),
        }
        check(Some(table), Some(other))?;
    }

    #[test]
    fn any_table_is_equal_to_itself_and_reads_the_same(table in any_table()) {
        prop_assert_eq!(drift::between(&table, &table), vec![]);
        prop_assert_eq!(render::diff(Some(&table), Some(&table)), "");
        let text = render::table(&table);
        prop_assert!(text.starts_with("table inet ") && text.ends_with("}\n"), "{text}");
        let unsafe_to_print = |c: char| (c.is_control() && !"\n\t".contains(c)) || c == '\u{202e}';
        prop_assert!(!text.chars().any(unsafe_to_print), "{:?}", text);
    }

    #[test]
    fn counters_do_not_count(
        table in wanted_table(),
        packets in any::<u64>(),
        generation in any::<u32>(),
    ) {
        let counters = vec![RuleCounter { comment: None, packets, bytes: packets }];
        let observed = Observed { table: Some(table.clone()), counters, generation };
        prop_assert_eq!(plan(Some(&table), &observed), Plan::Nothing);
    }

    /// What `-` and `+` mark leads from one text to the other.
    #[test]
    fn a_diff_holds_both_texts(wanted in any_table(), held in any_table()) {
        prop_assume!(wanted != held);
        let diff = render::diff(Some(&wanted), Some(&held));
        let side = |dropped: char| -> String {
            let lines = diff.lines().filter(|line| !line.starts_with(dropped));
            lines.map(|line| format!("{}\n", &line[1..])).collect()
        };
        prop_assert_eq!(side('-'), render::table(&wanted));
        prop_assert_eq!(side('+'), render::table(&held));
    }
}
