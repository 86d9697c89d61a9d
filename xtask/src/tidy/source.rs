//! Rules about one file's text.
//!
//! The forbidden words are put together from halves, because this file is checked too.

use super::Violation;

const MOST_LINES: usize = 500;

/// Marks of work that is not done.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const UNFINISHED_CODE: &[&str] =
    &[concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
/// Hosts of package registries; which one a user has configured is not our business.
const HOSTS: &[&str] = &[concat!("crates", ".io"), concat!("pypi", ".org"), concat!("npmjs", ".")];
const UNSAFE: &str = concat!("un", "safe");
const FORBID: &str = concat!("#![forbid(un", "safe_code)]");
const STARTS_PROCESS: &[&str] = &[concat!("Command::", "new("), concat!("process::", "Command")];

/// Checks one file; `file` is relative to the workspace.
pub fn check(file: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    if file != "Cargo.lock" {
        lines(file, text, &mut found, "this names a package registry's host", |line| {
            contains_any(line, HOSTS)
        });
    }
    // The text of the licence is not ours.
    if file != "LICENSE" {
        lines(file, text, &mut found, "this marks unfinished work", |line| {
            words(line).any(|word| UNFINISHED.contains(&word))
        });
    }
    if file.ends_with(".rs") {
        rust(file, text, &mut found);
    }
    found
}

fn rust(file: &str, text: &str, found: &mut Vec<Violation>) {
    if !text.starts_with("//!") {
        found.push(Violation::new(file, 1, "a module begins with `//!`: what lives here"));
    }
    let count = text.lines().count();
    if count > MOST_LINES {
        let rule = format!("{count} lines; split a file that has more than {MOST_LINES}");
        found.push(Violation::new(file, count, rule));
    }
    lines(file, text, found, "nothing half-done lands, and no test is left out", |line| {
        contains_any(&code(line), UNFINISHED_CODE)
    });
    if !file.starts_with("crates/anetcon-nft/src/ffi") {
        let rule = format!("`{UNSAFE}` lives only in crates/anetcon-nft/src/ffi");
        lines(file, text, found, &rule, |line| words(&code(line)).any(|word| word == UNSAFE));
    }
    if is_root(file) && file != "crates/anetcon-nft/src/lib.rs" && !text.contains(FORBID) {
        found.push(Violation::new(file, 1, format!("a crate's root says `{FORBID}`")));
    }
    if is_product(file) {
        let product = text.split("#[cfg(test)]").next().unwrap_or(text);
        lines(file, product, found, "agent, CLI and their libraries start no process", |line| {
            contains_any(&code(line), STARTS_PROCESS) || imports_command(line)
        });
    }
}

fn lines(
    file: &str,
    text: &str,
    found: &mut Vec<Violation>,
    rule: &str,
    broken: impl Fn(&str) -> bool,
) {
    let numbered = text.lines().zip(1..).filter(|(line, _)| broken(line));
    found.extend(numbered.map(|(_, number)| Violation::new(file, number, rule)));
}

/// Roots of libraries and programs.
fn is_root(file: &str) -> bool {
    let parts: Vec<&str> = file.split('/').collect();
    matches!(
        parts.as_slice(),
        ["crates", _, "src", "lib.rs" | "main.rs"]
            | ["crates", _, "src", "bin", _]
            | ["crates", _, "src", "bin", _, "main.rs"]
            | ["xtask", "src", "main.rs"]
    )
}

fn is_product(file: &str) -> bool {
    let parts: Vec<&str> = file.split('/').collect();
    match parts.as_slice() {
        ["crates", "anetcon-testkit", ..] | [.., "tests.rs"] => false,
        ["crates", _, "src", ..] => true,
        _ => false,
    }
}

/// `use std::process::{Command, ...}`, in one line.
fn imports_command(line: &str) -> bool {
    let process = concat!("process::", "{");
    let code = code(line);
    code.split_once(process).is_some_and(|(_, rest)| words(rest).any(|word| word == "Command"))
}

fn contains_any(line: &str, needles: &[&str]) -> bool {
    needles.iter().any(|needle| line.contains(needle))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}

/// The line without what stands in string literals and in a comment.
fn code(line: &str) -> String {
    let mut code = String::new();
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '/' if letters.peek() == Some(&'/') => break,
            '"' if !code.ends_with('\'') => skip_string(&mut letters),
            _ => code.push(letter),
        }
    }
    code
}

fn skip_string(letters: &mut impl Iterator<Item = char>) {
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return,
            '\\' => drop(letters.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FORBID, MOST_LINES, UNSAFE, check};

    fn rules(file: &str, text: &str) -> Vec<(usize, String)> {
        check(file, text).into_iter().map(|one| (one.line, one.rule)).collect()
    }

    /// The text breaks exactly one rule, in this line, with these words in the rule.
    #[track_caller]
    fn broken(file: &str, text: &str, line: usize, words: &str) {
        let found = rules(file, text);
        assert_eq!(found.len(), 1, "{file}: {found:?}");
        assert_eq!(found[0].0, line);
        assert!(found[0].1.contains(words), "{found:?}");
    }

    #[track_caller]
    fn fine(file: &str, text: &str) {
        assert_eq!(rules(file, text), [], "{file}");
    }

    #[test]
    fn modules_begin_with_their_purpose() {
        broken("crates/a/src/x.rs", "use std::fs;\n", 1, "`//!`");
        fine("crates/a/src/x.rs", "//! Files.\nuse std::fs;\n");
    }

    #[test]
    fn long_files_are_split() {
        let long = format!("//! Much.\n{}", "fn f() {}\n".repeat(MOST_LINES));
        broken("xtask/src/x.rs", &long, MOST_LINES + 1, "split");
        fine("xtask/src/x.rs", &format!("//! Much.\n{}", "fn f() {}\n".repeat(MOST_LINES - 1)));
    }

    #[test]
    fn raw_power_lives_in_one_folder() {
        let text = format!("//! X.\nfn f() {{ {UNSAFE} {{ g() }} }}\n");
        broken("crates/anetcon-nft/src/batch.rs", &text, 2, "only in");
        broken("crates/anetcond/tests/x.rs", &text, 2, "only in");
        fine("crates/anetcon-nft/src/ffi/mod.rs", &text);
        fine("crates/a/src/x.rs", &format!("//! X.\n// This is {UNSAFE}, so it is not done.\n"));
        fine("crates/a/src/x.rs", &format!("//! X.\nlet reason = \"\\\"{UNSAFE}\\\" means\";\n"));
        let after = format!("//! X.\nlet (quote, url) = ('\"', \"https://x\"); {UNSAFE} {{}}\n");
        broken("crates/a/src/x.rs", &after, 2, "only in");
    }

    #[test]
    fn crate_roots_forbid_it() {
        let with = format!("//! X.\n{FORBID}\n");
        for root in [
            "crates/a/src/lib.rs",
            "crates/a/src/main.rs",
            "crates/a/src/bin/b.rs",
            "xtask/src/main.rs",
        ] {
            broken(root, "//! X.\n", 1, "root");
            fine(root, &with);
        }
        fine("crates/anetcon-nft/src/lib.rs", "//! X.\n");
        fine("crates/a/src/x.rs", "//! X.\n");
    }

    #[test]
    fn nothing_half_done() {
        for word in super::UNFINISHED {
            broken("crates/a/src/x.rs", &format!("//! X.\n\n// {word}: later\n"), 3, "unfinished");
            broken("docs/x.md", &format!("# {word}\n"), 1, "unfinished");
        }
        for code in super::UNFINISHED_CODE {
            broken("crates/a/src/x.rs", &format!("//! X.\n{code})]\n"), 2, "half-done");
        }
        fine("docs/x.md", &format!("mktemp at.{}\n", "X".repeat(6)));
    }

    #[test]
    fn only_tests_start_processes() {
        let call = format!("//! X.\nlet c = {}\"ip\");\n", super::STARTS_PROCESS[0]);
        broken("crates/anetcond/src/x.rs", &call, 2, "start no process");
        let import = concat!("//! X.\nuse std::process::", "{Command, Stdio};\n");
        broken("crates/anetcon-host/src/x.rs", import, 2, "start no process");
        fine("crates/anetcon-testkit/src/x.rs", &call);
        fine(
            "crates/anetcond/src/x.rs",
            &format!("//! X.\n#[cfg(test)]\nmod tests {{\n{call}}}\n"),
        );
        fine("crates/anetcond/src/x.rs", concat!("//! X.\nuse std::process::", "ExitCode;\n"));
        fine("xtask/src/x.rs", &call);
    }

    #[test]
    fn registries_are_not_named() {
        for host in super::HOSTS {
            broken("docs/x.md", &format!("see https://{host}com\n"), 1, "registry");
        }
        fine("Cargo.lock", &format!("source = \"{}\"\n", super::HOSTS[0]));
    }
}
