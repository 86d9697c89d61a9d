//! Every folder in `cases` is one situation: what is wanted, what is there, and the plan in `plan.txt`.
//!
//! `wanted.toml` is the configuration (none: the namespace is not selected). What is there is the table of
//! `observed.toml` (none: of `wanted.toml`) with the edits of `observed.txt`. `plan.txt` holds the plan, one
//! drift per line, and the difference as the user sees it. A new case needs no code: add a folder, run
//! once with `ANETCON_BLESS=1`, and read what was written.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod plan_edits;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anetcon_core::netns::NetnsName;
use anetcon_core::plan::{Plan, plan};
use anetcon_core::protect::{Guarantees, Protect};
use anetcon_core::table::Table;
use anetcon_core::{config, desired, render};

#[test]
fn every_situation_has_its_plan() {
    let cases = cases();
    assert!(cases.len() >= 60, "only {} cases were found", cases.len());
    let wrong: String = cases.iter().filter_map(|case| check(case)).collect();
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn check(case: &Path) -> Option<String> {
    let name = case.file_name().unwrap().to_string_lossy();
    let wanted = table(&case.join("wanted.toml"));
    let base = table(&case.join("observed.toml")).or_else(|| wanted.clone());
    let observed = plan_edits::observed(base, &text(&case.join("observed.txt")));
    let plan = plan(wanted.as_ref(), &observed);
    let found = describe(&plan) + &render::diff(wanted.as_ref(), observed.table.as_ref());
    let expected = text(&case.join("plan.txt"));
    if found == expected {
        return None;
    }
    if std::env::var_os("ANETCON_BLESS").is_some() {
        fs::write(case.join("plan.txt"), &found).unwrap();
        return None;
    }
    Some(format!("{name}, expected:\n{expected}\nfound:\n{found}\n"))
}

/// The plan's sentence, one drift per line.
fn describe(plan: &Plan) -> String {
    let mut text = match plan {
        Plan::Replace { wanted, existing_flags: Some(flags), .. } => {
            format!("replace table inet {} (flags {flags}):\n", wanted.name)
        }
        Plan::Replace { wanted, existing_flags: None, .. } => {
            format!("make table inet {}:\n", wanted.name)
        }
        Plan::Refill { wanted, existing_sets, .. } => {
            let sets = existing_sets.join(", ");
            format!("refill table inet {} (sets there: {sets}):\n", wanted.name)
        }
        Plan::Claim { name, flags, .. } => format!("claim table inet {name} (flags {flags}):\n"),
        Plan::Nothing | Plan::Remove { .. } => format!("{plan}\n"),
    };
    for drift in plan.drift() {
        writeln!(text, "  {drift}").unwrap();
    }
    text + "\n"
}

fn table(file: &Path) -> Option<Table> {
    file.exists().then(|| {
        let config = config::parse(&text(file)).unwrap();
        let netns = NetnsName::named("qrouter-1").unwrap();
        let mut table = desired::table(&config, &netns).unwrap();
        // With `on`, on a kernel and under a service manager of today; cases that say nothing are without.
        let can = Guarantees { owner: true, persist: true, store: false };
        if config.rules.protect == Protect::On {
            table.flags = config.rules.protect.protection(&netns, can).flags();
        }
        table
    })
}

/// The text of a file; none if there is none.
fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}
