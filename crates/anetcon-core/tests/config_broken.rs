//! Every `broken_config/NAME.toml` is refused with the words of `NAME.txt` beside it.
//!
//! A new case needs no code: add `NAME.toml`, run the test once with `ANETCON_BLESS=1`, which writes the
//! missing or changed `.txt` files, and read what it wrote as the operator who made the mistake.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what cannot be read or found fails the test"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anetcon_core::config;

#[test]
fn every_broken_configuration_is_refused_in_the_expected_words() {
    let cases = cases();
    assert!(cases.len() >= 45, "only {} cases were found", cases.len());
    let wrong: String = cases.iter().filter_map(|case| check(case)).collect();
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_expected_message_has_its_configuration() {
    for file in files() {
        assert!(file.with_extension("toml").exists(), "{} has no .toml", file.display());
    }
}

/// Whatever the colour, the words are the same.
#[test]
fn colour_changes_no_word() {
    for case in cases() {
        let text = fs::read_to_string(&case).unwrap();
        let errors = config::parse(&text).unwrap_err();
        let (plain, coloured) = (errors.render("f", &text, false), errors.render("f", &text, true));
        assert!(!plain.contains('\u{1b}'), "{}", case.display());
        assert_eq!(plain, without_escapes(&coloured), "{}", case.display());
    }
}

fn check(case: &Path) -> Option<String> {
    let name = case.file_name().unwrap().to_str().unwrap();
    let text = fs::read_to_string(case).unwrap();
    let Err(errors) = config::parse(&text) else {
        return Some(format!("{name} was accepted\n\n"));
    };
    assert!(!errors.diagnostics.is_empty(), "{name}: refused without a reason");
    for diagnostic in &errors.diagnostics {
        assert!(diagnostic.span.is_some(), "{name} has an error without a place: {diagnostic:?}");
        assert!(diagnostic.help.is_some(), "{name} has an error without a remedy: {diagnostic:?}");
    }
    let found = format!("{}\n", errors.render(name, &text, false));
    let expected_file = case.with_extension("txt");
    let expected = fs::read_to_string(&expected_file).unwrap_or_default();
    if found == expected {
        return None;
    }
    if std::env::var_os("ANETCON_BLESS").is_some() {
        fs::write(&expected_file, &found).unwrap();
        return None;
    }
    Some(format!(
        "{name} is refused in other words (- expected, + found):\n{}\n",
        diff(&expected, &found)
    ))
}

/// The lines from the first difference to the last, those expected first.
fn diff(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let same = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| {
        pairs.take_while(|(one, other)| one == other).count()
    };
    let before = same(&mut expected.iter().zip(&found));
    let shorter = expected.len().min(found.len());
    let after = same(&mut expected.iter().rev().zip(found.iter().rev())).min(shorter - before);
    let mut shown = String::new();
    for (sign, lines) in [('-', &expected), ('+', &found)] {
        for line in &lines[before..lines.len() - after] {
            writeln!(shown, "{sign} {line}").unwrap();
        }
    }
    shown
}

fn cases() -> Vec<PathBuf> {
    files().into_iter().filter(|file| file.extension().is_some_and(|end| end == "toml")).collect()
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken_config");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn without_escapes(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or("", |(_, rest)| rest))
}
