//! Colour, closed pipes, completion scripts and `check`: what does not need an agent that is well.
#![allow(clippy::disallowed_methods, reason = "a test of a program has to start others")]
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use anetcon_testkit::patched::Patched;
use common::{Agent, Answer, namespace, namespaces, ran, status, tool, write};
use serde_json::{Value, json};

const ESCAPE: char = '\x1b';

fn well() -> Agent {
    Agent::answering(vec![("GET /v1/status", Answer::json(&status(true)))])
}

#[test]
fn a_pipe_gets_no_colour_unless_it_is_asked_for() {
    let agent = well();
    assert!(!agent.run(&["status"]).stdout.contains(ESCAPE));
    assert!(!agent.run(&["status", "--color", "never"]).stdout.contains(ESCAPE));
    assert!(agent.run(&["status", "--color", "always"]).stdout.contains(ESCAPE));
    assert!(!agent.run(&["status", "--color", "always", "--json"]).stdout.contains(ESCAPE));
}

/// script(1) gives the tool a terminal.
fn on_a_terminal(agent: &Agent, arguments: &str, no_color: &str) -> String {
    let tool = env!("CARGO_BIN_EXE_anetconctl");
    let socket = agent.socket();
    let mut script = Command::new("script");
    script
        .args(["-qec", &format!("{tool} {arguments} --socket {}", socket.display()), "/dev/null"])
        .env("TERM", "xterm")
        .env("NO_COLOR", no_color)
        .stdin(Stdio::null());
    let ran = ran(script);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout
}

#[test]
fn a_terminal_gets_colour_unless_the_user_has_none_of_it() {
    let agent = well();
    assert!(on_a_terminal(&agent, "status", "").contains(ESCAPE));
    assert!(!on_a_terminal(&agent, "status", "1").contains(ESCAPE));
    assert!(!on_a_terminal(&agent, "--color never status", "").contains(ESCAPE));
    assert!(on_a_terminal(&agent, "--color always status", "1").contains(ESCAPE));
}

/// Run with a stdout whose reader is gone after the first byte.
fn reader_leaves(agent: &Agent, arguments: &[&str]) -> common::Ran {
    let mut command = agent.command(arguments);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the tool");
    let mut stdout = child.stdout.take().expect("piped above");
    stdout.read_exact(&mut [0]).expect("a byte");
    drop(stdout);
    let ended = child.wait_with_output().expect("the tool should end");
    let stderr = String::from_utf8(ended.stderr).expect("UTF-8");
    common::Ran { code: ended.status.code(), stdout: String::new(), stderr }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let many: Vec<Value> =
        (0..2000).map(|number| namespace(&format!("qrouter-{number}"), "audited")).collect();
    let event =
        json!({"schema": 1, "time": "2026-11-23T16:00:00Z", "type": "recovered", "namespace": "q"});
    let agent = Agent::answering(vec![
        ("GET /v1/namespaces", Answer::json(&namespaces(&many))),
        ("GET /v1/watch", Answer::Endless(event.to_string())),
    ]);
    let cases: [&[&str]; 4] = [&["list"], &["list", "--json"], &["watch"], &["watch", "--json"]];
    for arguments in cases {
        let ran = reader_leaves(&agent, arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let agent = well();
    let mut command = agent.command(&["status"]);
    command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the tool");
    let mut stderr = String::new();
    child.stderr.take().expect("piped above").read_to_string(&mut stderr).expect("UTF-8");
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert!(stderr.starts_with("anetconctl: cannot write: No space left on device"), "{stderr}");
}

/// What a real bash offers after these words.
fn completed(folder: &Path, words: &[&str]) -> Vec<String> {
    let path = Path::new(env!("CARGO_BIN_EXE_anetconctl")).parent().unwrap();
    let script = "source <(anetconctl completion bash); COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        _clap_complete_anetconctl anetconctl \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let machine =
        Patched::new(path, &format!("namespace_directories = ['{}']\n", folder.display()));
    let file = machine.folder().join("complete.bash");
    std::fs::write(&file, script).unwrap();
    let output = machine.shell(&format!("bash {} {}", file.display(), words.join(" ")));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn a_shell_completes_commands_options_and_namespaces() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["qrouter-1", "qrouter-2", "other"] {
        write(folder.path(), name, "");
    }
    let cases: [(&[&str], &[&str]); 5] = [
        (&["anetconctl", "pu"], &["purge"]),
        (&["anetconctl", "show", "qr"], &["qrouter-1", "qrouter-2"]),
        (&["anetconctl", "diff", "d"], &["default"]),
        (&["anetconctl", "gaps", "--namespace", "o"], &["other"]),
        (&["anetconctl", "completion", "f"], &["fish"]),
    ];
    for (words, offered) in cases {
        assert_eq!(completed(folder.path(), words), offered, "{words:?}");
    }
}

#[test]
fn every_shell_has_a_script() {
    for shell in ["bash", "elvish", "fish", "zsh"] {
        let ran = ran(tool(&["completion", shell]));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(ran.stdout.contains("_ANETCONCTL_COMPLETE"), "{shell}");
    }
}

#[test]
fn check_points_at_every_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let bad = write(folder.path(), "bad.toml", "period = 0\nperod = 30\n");
    let bad = bad.to_str().unwrap();
    let checked = ran(tool(&["check", bad]));
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(78), ""));
    for place in ["bad.toml:1:10", "bad.toml:2:1", "^"] {
        assert!(checked.stderr.contains(place), "{place} in {}", checked.stderr);
    }
    let checked = ran(tool(&["check", "--json", "-c", bad]));
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(78), ""));
    let document: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(document["errors"][1]["line"], 2);
}

#[test]
fn check_tells_which_namespace_a_good_configuration_cannot_audit() {
    let folder = tempfile::tempdir().unwrap();
    let name = "n".repeat(112);
    write(folder.path(), &name, "");
    let text = format!(
        "namespaces = [\"^n\"]\nnamespace_directories = [{:?}]\n[log]\nnamespace = \"name\"\n",
        folder.path()
    );
    let good = write(folder.path(), "good.toml", &text);
    let checked = ran(tool(&["check", good.to_str().unwrap()]));
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let end = format!("These cannot be audited with it:\n  {name}: the log prefix");
    assert!(checked.stdout.contains(&end), "{checked:?}");
}

#[test]
fn check_accepts_what_is_good_and_refuses_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("namespaces = [\"default\"]\nnamespace_directories = [{:?}]\n", folder.path());
    let good = write(folder.path(), "good.toml", &text);
    let good = good.to_str().unwrap();
    let checked = ran(tool(&["check", good]));
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    assert!(
        checked.stdout.contains("1 of 2 namespaces are selected now:\n  default\n"),
        "{checked:?}"
    );
    let checked = ran(tool(&["check", good, "--json"]));
    let document: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(document["selected"], json!(["default"]));

    let absent = folder.path().join("absent.toml");
    let checked = ran(tool(&["check", absent.to_str().unwrap()]));
    assert_eq!(checked.code, Some(78));
    assert!(checked.stderr.contains("No such file"), "{checked:?}");
}
