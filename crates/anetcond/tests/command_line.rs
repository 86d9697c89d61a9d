//! The agent's command line: that of the bash script it replaces, and `--check`.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![allow(clippy::disallowed_methods, reason = "the agent is the program under test")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::netns::{Netns, require_root};
use anetcon_testkit::ruleset::{nft, table};
use tempfile::TempDir;

const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// Runs the agent with arguments that let it end by itself. Where it goes on instead, timeout(1) ends it, with another exit code.
fn anetcond<T: AsRef<OsStr>>(arguments: &[T]) -> Output {
    Command::new("timeout").args(["10", ANETCOND]).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A configuration file with this text.
fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anetcon.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// Checks a file with this text; the exit code and standard error.
fn check(text: &str) -> (Option<i32>, String) {
    let (_folder, path) = file(text);
    let output = anetcond(&[OsStr::new("--check"), OsStr::new("-c"), path.as_os_str()]);
    assert_eq!(stdout(&output), "");
    (output.status.code(), stderr(&output).replace(path.to_str().unwrap(), "FILE"))
}

#[test]
fn help_and_version_go_to_standard_output() {
    for option in ["-h", "--help"] {
        let output = anetcond(&[option]);
        assert_eq!(output.status.code(), Some(0));
        for part in ["-n, --namespace", "-p, --period", "-l, --log-file", "-c, --config", "78"] {
            assert!(stdout(&output).contains(part), "no {part} in {}", stdout(&output));
        }
    }
    for option in ["-V", "--version"] {
        let output = anetcond(&[option]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(stdout(&output), format!("anetcond {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let cases: [(&[&str], &str); 4] = [
        (&["--no-such-option"], "--no-such-option"),
        (&["-p", "soon"], "soon"),
        (&["-c"], "-c"),
        (&["qrouter"], "qrouter"),
    ];
    for (arguments, part) in cases {
        let output = anetcond(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[test]
fn a_good_file_passes_the_check_in_silence() {
    assert_eq!(check("namespaces = [\"^qrouter-\"]\n"), (Some(0), String::new()));
    assert_eq!(check(""), (Some(0), String::new()));
}

#[test]
fn a_bad_file_is_shown_with_the_place_of_each_error() {
    let (code, message) = check("period = 30\nnamespaces = [\"(\"]\nprotocol = \"tcp\"\n");
    assert_eq!(code, Some(78));
    for part in ["FILE:2:16", "FILE:3:1", "namespaces = [\"(\"]", "^", "`protocols`"] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    assert!(!message.contains('\x1b'), "no colour in a pipe: {message}");
}

#[test]
fn a_file_that_cannot_be_read_ends_with_78() {
    let file = ["-n", "^none$", "-c", "/no/such/file"];
    for arguments in [&file[..], &[&["--check"], &file[..]].concat()] {
        let output = anetcond(arguments);
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        let message = stderr(&output);
        assert!(message.contains("cannot read the configuration /no/such/file"), "{message}");
    }
}

#[test]
fn without_any_file_the_defaults_hold() {
    require_root();
    // An empty folder in place of /etc, which nobody else sees.
    let script = format!("mount -t tmpfs none /etc && exec {ANETCOND} --check");
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}

#[test]
fn values_on_the_command_line_are_checked_like_those_in_the_file() {
    let cases: [(&[&str], &str); 3] = [
        (&["-p", "0"], "`-p` must be from 1"),
        (&["-n", "("], "regular expression"),
        (&["-n", ""], "`-n`"),
    ];
    let (_folder, path) = file("");
    for (arguments, part) in cases {
        for check in [&["--check"][..], &[]] {
            let all = [&["-c", path.to_str().unwrap()], check, arguments].concat();
            let output = anetcond(&all);
            assert_eq!(output.status.code(), Some(78), "{all:?}");
            let message = stderr(&output);
            assert!(message.contains(part), "no {part:?} in {message}");
        }
    }
}

#[test]
fn options_go_before_the_file() {
    let (in_file, one, two) = (Netns::new("file"), Netns::new("one"), Netns::new("two"));
    let mut agent =
        Agent::prepared(Path::new(ANETCOND), Configuration::auditing(&[in_file.name()]));
    let pattern = |netns: &Netns| format!("^{}$", netns.name());
    agent.set_arguments(["-n", &pattern(&one), "-n", &pattern(&two), "-p", "77"]);
    agent.start_again();
    let status = agent.wait_audited(2);
    assert_eq!(status["period_seconds"], 77);
    let table_name = &agent.configuration().table;
    let audited = [&in_file, &one, &two].map(|netns| table(netns, table_name).is_some());
    assert_eq!(audited, [false, true, true]);

    // Also after a reload: who started the agent has decided.
    let response = agent.request("POST", "/v1/reload").unwrap();
    assert_eq!(response.code, 200, "{}", response.body);
    assert_eq!(agent.wait_audited(2)["period_seconds"], 77);
}

#[test]
fn messages_go_to_the_log_file_as_well() {
    let netns = Netns::new("logfile");
    let mut agent = Agent::prepared(Path::new(ANETCOND), Configuration::auditing(&[netns.name()]));
    let log_file = agent.folder().join("agent.log");
    agent.set_arguments([OsStr::new("-l"), log_file.as_os_str()]);
    agent.start_again();
    agent.wait_audited(1);
    nft(&netns, "flush ruleset");
    agent.wait_for_status("the repair", |status| status["repairs"]["total"] == 1);
    assert!(agent.stop().success());

    let text = fs::read_to_string(&log_file).unwrap();
    for part in ["namespace is audited", "rules restored", netns.name(), "the agent ends"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(!text.contains("DEBUG"), "nobody asked for that: {text}");
    // Each place takes its own time.
    let messages = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect()
    };
    assert_eq!(messages(&text), messages(&agent.stderr()), "the same everywhere");
    assert_eq!(fs::metadata(&log_file).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_log_file_that_cannot_be_opened_is_a_reason_not_to_start() {
    let mut agent = Agent::prepared(Path::new(ANETCOND), Configuration::auditing(&["none"]));
    agent.set_arguments(["-l", "/no/such/folder/log"]);
    agent.spawn();
    assert_eq!(agent.wait_for_exit().code(), Some(1));
    let stderr = agent.stderr();
    assert!(stderr.contains("cannot open the log file /no/such/folder/log"), "{stderr}");
    assert!(!agent.socket().exists());
}

#[test]
fn verbose_tells_more() {
    let netns = Netns::new("verbose");
    let mut agent = Agent::prepared(Path::new(ANETCOND), Configuration::auditing(&[netns.name()]));
    agent.set_arguments(["-v"]);
    agent.start_again();
    agent.wait_audited(1);
    assert!(agent.stop().success());
    assert!(agent.stderr().contains("DEBUG anetcond"), "{}", agent.stderr());
}
