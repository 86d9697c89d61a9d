//! Properties of the old format that hold for any file and any pattern.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what cannot be run fails the test")]
#![allow(clippy::disallowed_methods, reason = "grep is the implementation compared with")]

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use anetcon_core::config;
use anetcon_core::legacy;
use anetcon_core::netns::NetnsName;
use proptest::prelude::*;

const SAMPLE: &str = include_str!("legacy/every_key.conf");

/// Names with the signs that patterns are made of.
const NAMES: &[&str] = &[
    "a", "b", "aa", "ab", "aab", "abab", "ba", "a-b", "a.b", "*", "*a", "a*", "a+", "a+b", "a?",
    "(a)", "a|b", "{a}", "a{2}", "a{1,2}", "^a", "a^", "a$", "$a", "a]", "[a]", "a\\b", "_a",
    "a b", "1", "a1", "-", "A", "]", "^", "$", "\\", "aaa", "bbb", "a_",
];

/// What grep makes of the names: those that it selects; `None` if it takes no such pattern.
fn grep(pattern: &str) -> Option<Vec<String>> {
    let mut child = Command::new("grep")
        .arg(pattern)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A grep that takes no such pattern does not read.
    drop(child.stdin.take().unwrap().write_all((NAMES.join("\n") + "\n").as_bytes()));
    let output = child.wait_with_output().unwrap();
    let selected = String::from_utf8(output.stdout).unwrap();
    matches!(output.status.code(), Some(0 | 1))
        .then(|| selected.lines().map(str::to_owned).collect())
}

/// What we make of them, after the pattern went through the file, the translation and the TOML.
fn ours(pattern: &str) -> Option<Vec<String>> {
    let quoted = pattern.replace('\'', r"'\''");
    let migration = legacy::read(format!("NAMESPACES=( '{quoted}' )\n").as_bytes()).ok()?;
    let config = config::parse(&migration.toml).unwrap();
    let matches = |name: &&&str| config.selection.matches(&NetnsName::named(name).unwrap());
    Some(NAMES.iter().filter(matches).map(|&name| name.to_owned()).collect())
}

fn piece() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "a",
        "b",
        "A",
        "1",
        "_",
        " ",
        "-",
        ".",
        "*",
        "^",
        "$",
        "+",
        "?",
        "|",
        "(",
        ")",
        "{",
        "}",
        "]",
        "\\",
        "\\.",
        "\\*",
        "\\^",
        "\\$",
        "\\[",
        "\\]",
        "\\\\",
        "\\(",
        "\\)",
        "\\(",
        "\\)",
        "\\|",
        "\\+",
        "\\?",
        "\\{2\\}",
        "\\{1,2\\}",
        "\\{,2\\}",
        "\\{0\\}",
        "\\{2,\\}",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "\\<",
        "\\>",
        "\\b",
        "\\B",
        "\\1",
        "[ab]",
        "[^ab]",
        "[]a]",
        "[^]a]",
        "[a-]",
        "[a-c]",
        "[[:alpha:]]",
        "[^[:digit:]-]",
        "[[:upper:]_]",
        "[\\a]",
        "[",
        "[[.a.]]",
        "[*+]",
        "[&&a]",
    ])
}

proptest! {
    // A failing case is printed; a test run leaves no file in the tree.
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn a_pattern_selects_what_grep_selects(pieces in proptest::collection::vec(piece(), 1..7)) {
        let pattern = pieces.concat();
        if let Some(ours) = ours(&pattern) {
            let grep = grep(&pattern);
            prop_assert_eq!(Some(ours), grep, "{}", pattern);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        read_or_refused(&bytes)?;
    }

    #[test]
    fn any_text_is_read_or_refused(text in "([A-Z_]{1,3}|NETS|NAMESPACES|declare -A |[ \\t\\n\\r=+()\\[\\]{}\"'`$\\\\#;&|<>~*?!a.0-9\u{fc}-]){0,30}") {
        read_or_refused(text.as_bytes())?;
    }

    #[test]
    fn a_file_with_a_piece_changed_is_read_or_refused(
        at in 0..SAMPLE.len(), length in 0usize..20, piece in ".{0,3}",
    ) {
        let mut text = SAMPLE.to_owned();
        text.replace_range(at..(at + length).min(SAMPLE.len()), &piece);
        read_or_refused(text.as_bytes())?;
    }
}

/// The path of the hash file, the period, and the first networks of each name in NETS.
type Values = (String, String, BTreeMap<String, String>);

/// What a real bash makes of the file. It is a restricted shell, which redirects nothing and knows no path to a program, in case that we
/// read what is no data.
fn bash(text: &str) -> Option<Values> {
    const SHOW: &str = r#"
printf '%s\0' "$NAMESPACE_HASH_FILE" "${PERIOD-60}"
if [[ "$(declare -A)" = *"declare -A NETS"* ]]; then
    for name in "${!NETS[@]}"; do printf '%s\0' "$name" "${NETS[$name]}"; done
else
    printf '%s\0' "${NETS[@]}"
fi"#;
    let mut bash = Command::new("/bin/bash");
    let text = format!("{text}\n{SHOW}");
    bash.args(["--noprofile", "--norc", "-r", "-c", &text]);
    let output = bash.env_clear().env("PATH", "/nonexistent").current_dir("/").output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let mut shown = shown.split_terminator('\0').map(str::to_owned);
    let (file, period) = (shown.next()?, shown.next()?);
    let mut networks = BTreeMap::new();
    while let (Some(name), Some(list)) = (shown.next(), shown.next()) {
        // The script's list names nothing twice to it: the first counts. Blanks around a network do not.
        if !list.trim().is_empty() {
            networks.entry(name).or_insert(list.trim().to_owned());
        }
    }
    let fine = output.status.success() && output.stderr.is_empty();
    fine.then_some((file, period, networks))
}

/// The same as we read it.
fn values(text: &str) -> Option<Values> {
    let config = legacy::read(text.as_bytes()).ok()?.config;
    let file = config.state.hash_file.map(|path| path.to_str().unwrap().to_owned());
    let networks = config.networks.into_iter();
    let networks = networks.map(|(name, networks)| (name, networks.first().unwrap().to_string()));
    Some((file.unwrap_or_default(), config.period.as_secs().to_string(), networks.collect()))
}

/// Whole statements, and what can stand between them.
fn statement() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "PERIOD=30",
        "PERIOD=40",
        "PERIOD+=1",
        "declare PERIOD",
        "declare PERIOD=50",
        "export PERIOD=51",
        "typeset -g PERIOD=52 NETS",
        "NAMESPACE_HASH_FILE=/a",
        "NAMESPACE_HASH_FILE+=/b",
        "NETS=( q 10.0.0.0/8 )",
        "NETS+=( r 10.0.0.0/8 )",
        "NETS=( q 10.1.0.0/16\n# comment\nr '10.2.0.0/16'   s \"10.3.0.0/16\" )",
        "declare -A NETS",
        "declare -A NETS=( [q]=10.4.0.0/16 )",
        "NETS[q]=10.5.0.0/16",
        "NETS[\"r\"]='10.6.0.0/16'",
        "NETS=( [s]=10.7.0.0/16 )",
        "NETS+=( [t]=10.8.0.0/16 )",
        "NETS=()",
        "NETS=",
        "OTHER=x",
        " # comment",
        "echo",
    ])
}

fn separator() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["\n", "\n", ";", " ; ", " ", "\n\n", "\\\n", " \\\n", ";\n"])
}

/// All that has a meaning in bash, alone and in its place.
fn sign() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "a",
        "b",
        "a",
        "b",
        " ",
        "\t",
        "\n",
        "'",
        "\"",
        "\\",
        "$",
        "`",
        "#",
        ";",
        "&",
        "|",
        "(",
        ")",
        "<",
        ">",
        "[",
        "]",
        "{",
        "}",
        ",",
        "~",
        ":",
        "*",
        "?",
        "!",
        "=",
        "+",
        "-",
        ".",
        "%",
        "^",
        "@",
        "/",
        "'a b'",
        "\"a b\"",
        "\\ ",
        "\\\n",
        "\\'",
        "\\\"",
        "\"\\\"\"",
        "'\\'",
        "$a",
        "${a}",
        "\\$",
        "\"$\"",
        "$\"a\"",
        "$'a'",
        "{a,b}",
        "#a",
        " #a\n",
        "''",
        "\"\\a\"",
        "\"a\\\nb\"",
        "é",
        "$",
        "\\\n",
        "\\\n",
        "~",
        ":",
        "/",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn words_are_what_bash_reads(
        path in proptest::collection::vec(sign(), 0..5), name in proptest::collection::vec(sign(), 0..4),
    ) {
        let text = format!(
            "NAMESPACE_HASH_FILE=/{}z\nNETS=( q{} 10.0.0.0/8 )\nPERIOD=30 # {}", path.concat(), name.concat(), path.concat(),
        );
        if let Some(values) = values(&text) {
            prop_assert_eq!(Some(values), bash(&text), "{}", text);
        }
    }

    #[test]
    fn statements_are_what_bash_reads(
        parts in proptest::collection::vec((statement(), separator()), 1..7),
    ) {
        let parts: String = parts.iter().map(|(statement, separator)| format!("{statement}{separator}")).collect();
        let text = format!("NAMESPACE_HASH_FILE=/x\n{parts}");
        if let Some(values) = values(&text) {
            prop_assert_eq!(Some(values), bash(&text), "{}", text);
        }
    }
}

/// What is read is TOML that means the same; what is refused says where.
fn read_or_refused(bytes: &[u8]) -> Result<(), TestCaseError> {
    match legacy::read(bytes) {
        Ok(migration) => prop_assert_eq!(config::parse(&migration.toml), Ok(migration.config)),
        Err(errors) => {
            prop_assert!(!errors.diagnostics.is_empty());
            prop_assert!(
                errors.render("f", &String::from_utf8_lossy(bytes), true).contains("error")
            );
        }
    }
    Ok(())
}

#[test]
fn most_patterns_that_grep_takes_are_translated() {
    let patterns = [
        "^a$",
        "a\\|b",
        "\\(ab\\)*",
        "a\\{2\\}",
        "[[:alpha:]]*",
        "*a",
        "a+",
        "\\<a\\>",
        "a.b",
        "^\\(a\\|b\\)\\+$",
    ];
    for pattern in patterns {
        assert_eq!(ours(pattern), grep(pattern), "{pattern}");
        assert!(ours(pattern).is_some(), "{pattern}");
    }
}
