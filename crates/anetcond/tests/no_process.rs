//! Neither the agent nor the command line tool ever starts a process: strace(1) watches all that they do.

#![allow(clippy::disallowed_methods, reason = "tests start the programs under test and strace")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anetcon_api::paths;
use anetcon_testkit::netns::{Netns, unique, wait_until};

use self::common::{ANETCOND, Audited, PATIENCE};

/// Every way to run another program or to make another process; clone(2) and clone3(2) make threads, too.
const CALLS: &str = "trace=execve,execveat,fork,vfork,clone,clone3";

/// With `-D` the direct child is what is traced, as without strace. `-q`: no messages about attaching.
const STRACE: [&str; 7] = ["strace", "-D", "-f", "-q", "-e", CALLS, "-o"];

/// What a finished trace holds besides the start of the program itself: programs and processes started.
fn started(trace: &Path, program: &Path) -> Vec<String> {
    let text = wait_until("strace sees the end of the program", PATIENCE, || {
        let text = fs::read_to_string(trace).unwrap_or_default();
        // One line for each thread, the main one last.
        let ended = text.lines().last().is_some_and(|line| line.contains("+++ exited with"));
        (ended && text.ends_with('\n')).then_some(text)
    });
    let entered = |line: &&str| ![" resumed>", "+++ ", "--- "].iter().any(|no| line.contains(no));
    let mut calls = text.lines().filter(entered);
    let first = calls.next().unwrap_or_default();
    let begin = format!("execve(\"{}\"", program.display());
    assert!(first.contains(&begin), "the trace does not begin with {begin}: {text}");
    calls.filter(|line| !line.contains("CLONE_THREAD")).map(str::to_owned).collect()
}

#[test]
fn the_agent_starts_no_process() {
    let mut trace = PathBuf::new();
    let mut audited = Audited::prepared("noproc", |agent| {
        trace = agent.folder().join("trace");
        let file = trace.display().to_string();
        agent.launch_with(&[STRACE.as_slice(), &[&file]].concat());
        agent
            .configure(|configuration| configuration.namespaces.push("^at-noprocmore-".to_owned()));
    });
    // Start, adopt, repair.
    audited.repair();
    let more = Netns::named(&unique("noprocmore"));
    audited.agent.wait_audited(2);
    // Both ways to reload, and all that a reload can change: writer, folder, selection, level.
    audited.agent.configure(|configuration| configuration.writer = "rsyslog".to_owned());
    assert_eq!(audited.agent.request("POST", paths::RELOAD).expect("an answer").code, 200);
    audited.agent.configure(|configuration| {
        configuration.writer = "agent".to_owned();
        configuration.namespaces.truncate(1);
    });
    audited.agent.reload();
    audited.agent.wait_audited(1);
    let detail = format!("{}/{}", paths::NAMESPACES, audited.netns.name());
    for path in [paths::STATUS, paths::NAMESPACES, &detail, paths::DIFF] {
        audited.agent.get(path);
    }
    audited.repair();
    drop(more);
    assert!(audited.agent.stop().success());
    assert_eq!(started(&trace, Path::new(ANETCOND)), Vec::<String>::new());
}

/// The command line tool, which the agent's package does not build.
fn anetconctl() -> PathBuf {
    let tool = Path::new(ANETCOND).with_file_name("anetconctl");
    let missing = || format!("{} is missing: `cargo build -p anetconctl` makes it", tool.display());
    assert!(tool.exists(), "{}", missing());
    tool
}

#[test]
fn the_command_line_tool_starts_no_process() {
    let mut audited = Audited::new("noprocctl");
    let (tool, trace) = (anetconctl(), audited.agent.folder().join("trace"));
    let run = |agent: &anetcon_testkit::agent::Agent, arguments: &[&str]| {
        let traced = Command::new(STRACE[0])
            .args(STRACE.get(1..).expect("options"))
            .args([&trace, &tool])
            .args(arguments)
            .arg("--config")
            .arg(agent.configuration_path())
            .output()
            .expect("strace runs");
        assert!(traced.status.success(), "{arguments:?}: {traced:?}");
        assert_eq!(started(&trace, &tool), Vec::<String>::new(), "{arguments:?}");
        fs::remove_file(&trace).expect("a trace");
    };
    let name = audited.netns.name().to_owned();
    for arguments in [
        vec!["status"],
        vec!["list", "--json"],
        vec!["show", &name],
        vec!["diff"],
        vec!["check"],
        vec!["reload"],
        vec!["purge", "--dry-run"],
    ] {
        run(&audited.agent, &arguments);
    }
    let old = audited.agent.folder().join("anetcon.conf");
    fs::write(&old, format!("NAMESPACES=( '^{name}$' )\n")).expect("an old file");
    let old = old.display().to_string();
    run(&audited.agent, &["migrate", &old]);
    run(&audited.agent, &["migrate", &old, "--takeover"]);
    audited.agent.kill();
    run(&audited.agent, &["diff", &name]);
    run(&audited.agent, &["purge"]);
    assert!(!audited.has_rules(), "purge without the agent removes the rules");
}

#[test]
fn a_program_that_starts_another_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let shell = Path::new("/bin/sh");
    let traced = Command::new(STRACE[0])
        .args(STRACE.get(1..).expect("options"))
        .args([&trace, shell])
        .args(["-c", "/bin/ls / && true"])
        .output()
        .expect("strace runs");
    assert!(traced.status.success(), "{traced:?}");
    let started = started(&trace, shell);
    let seen =
        |calls: &[&str]| started.iter().any(|line| calls.iter().any(|call| line.contains(call)));
    assert!(seen(&["execve(\"/bin/ls\""]), "{started:#?}");
    // A shell makes processes by fork, vfork or clone.
    assert!(seen(&["fork(", "clone(", "clone3("]), "{started:#?}");
}
