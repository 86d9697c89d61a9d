//! The exit code of every command in every situation that a script may meet.

mod common;

use common::{Agent, Answer, detail, diff, namespace, namespaces, ran, status, tool, write};
use serde_json::json;

const STATUS: &str = "GET /v1/status";
const LIST: &str = "GET /v1/namespaces";
const RELOAD: &str = "POST /v1/reload";
const WATCH: &str = "GET /v1/watch";

/// Each command that needs the agent, and what it asks.
const ASKING: [(&[&str], &str); 6] = [
    (&["status"], STATUS),
    (&["list"], LIST),
    (&["show", "qrouter-1"], "GET /v1/namespaces/qrouter-1"),
    (&["diff", "qrouter-1"], "GET /v1/diff?namespace=qrouter-1"),
    (&["reload"], RELOAD),
    (&["watch"], WATCH),
];

#[track_caller]
fn exits(answers: Vec<(&'static str, Answer)>, arguments: &[&str], code: i32) -> common::Ran {
    let ran = Agent::answering(answers).run(arguments);
    assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
    ran
}

#[test]
fn zero_if_all_is_well() {
    let audited = namespaces(&[namespace("qrouter-1", "audited")]);
    let reload = json!({
        "schema": 1, "file": null, "loaded": "2026-11-23T16:00:00Z", "changes": [], "added": [],
        "removed": [],
    });
    for extra in [&[][..], &["--json"]] {
        let run = |line, document, arguments: &[&str]| {
            let ran = exits(vec![(line, Answer::json(&document))], &[arguments, extra].concat(), 0);
            assert_eq!(ran.stderr, "");
            assert_eq!(ran.stdout.starts_with('{'), !extra.is_empty(), "{}", ran.stdout);
        };
        run(STATUS, status(true), &["status"]);
        run(LIST, audited.clone(), &["list"]);
        run(LIST, namespaces(&[]), &["list"]);
        run(ASKING[2].1, detail("qrouter-1", "203.0.113.10/32"), ASKING[2].0);
        run(ASKING[3].1, diff(true, None), ASKING[3].0);
        run(RELOAD, reload.clone(), &["reload"]);
    }
}

#[test]
fn one_if_something_is_wrong() {
    exits(vec![(STATUS, Answer::json(&status(false)))], &["status"], 1);
    let brief = exits(vec![(STATUS, Answer::json(&status(false)))], &["status", "--brief"], 1);
    assert_eq!(brief.stdout.lines().count(), 1);
    for state in ["failed", "repairing", "waiting"] {
        let document = namespaces(&[namespace("a", "audited"), namespace("b", state)]);
        exits(vec![(LIST, Answer::json(&document))], &["list"], 1);
    }
    exits(vec![("GET /v1/diff", Answer::json(&diff(false, None)))], &["diff"], 1);
    exits(vec![], &["show", &"x".repeat(100_000)], 1);
    let unknown = exits(vec![], &["show", "qrouter-1"], 1);
    assert_eq!(unknown.stderr, "anetconctl: no such namespace\nhelp: ask somebody\n");
}

#[test]
fn two_if_wrongly_used() {
    let wrong: [&[&str]; 6] = [
        &[],
        &["frobnicate"],
        &["status", "--frobnicate"],
        &["show"],
        &["status", "--color", "blue"],
        &["status", "--timeout", "0"],
    ];
    for arguments in wrong {
        assert_eq!(ran(tool(arguments)).code, Some(2), "{arguments:?}");
    }
    for arguments in [["--help"], ["--version"]] {
        assert_eq!(ran(tool(&arguments)).code, Some(0), "{arguments:?}");
    }
}

#[test]
fn three_if_the_agent_is_not_running() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.sock");
    let deserted = folder.path().join("deserted.sock");
    drop(std::os::unix::net::UnixListener::bind(&deserted).unwrap());
    for socket in [absent, deserted] {
        for (arguments, line) in ASKING {
            // A diff goes on without the agent.
            if line.starts_with("GET /v1/diff") {
                continue;
            }
            let mut command = tool(arguments);
            command.arg("--socket").arg(&socket);
            let ran = ran(command);
            assert_eq!(ran.code, Some(3), "{arguments:?}: {ran:?}");
            assert!(ran.stderr.contains("the agent is not running"), "{ran:?}");
            assert!(ran.stderr.contains("help: start it with"), "{ran:?}");
        }
    }
}

#[test]
fn four_without_permission() {
    for (arguments, line) in ASKING {
        let ran = exits(vec![(line, Answer::refusal(403, "only root may"))], arguments, 4);
        assert_eq!(ran.stderr, "anetconctl: only root may\nhelp: ask somebody\n");
    }
}

#[test]
fn four_if_the_socket_is_not_for_us() {
    // The folder of the agent's socket is for its owner only.
    let agent = Agent::answering(vec![]);
    let socket = agent.socket();
    for (arguments, _) in ASKING {
        let socket = socket.to_string_lossy();
        let ran = ran(common::unprivileged(&[arguments, &["--socket", &socket]].concat()));
        assert_eq!(ran.code, Some(4), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.starts_with("anetconctl: no permission to connect to"), "{ran:?}");
        assert!(
            ran.stderr.ends_with("help: run this as root; the group adm may read\n"),
            "{ran:?}"
        );
    }
}

#[test]
fn four_if_it_cannot_be_told() {
    for (arguments, line) in ASKING {
        let limited = [arguments, &["--timeout", "0.2"]].concat();
        exits(vec![(line, Answer::Hang)], &limited, 4);
        exits(vec![(line, Answer::Close)], arguments, 4);
        exits(vec![(line, Answer::Raw("\0\u{ff}nonsense\r\n\r\n"))], arguments, 4);
        exits(vec![(line, Answer::Body(200, "{\"schema\":2}\n".into()))], arguments, 4);
        exits(vec![(line, Answer::Body(503, "busy".into()))], arguments, 4);
    }
    let unreadable = diff(false, Some("cannot enter"));
    exits(vec![("GET /v1/diff", Answer::json(&unreadable))], &["diff"], 4);
}

#[test]
fn seventy_eight_if_the_configuration_is_bad() {
    let diagnostics = "error: unknown key\n --> a.toml:1:1";
    let ran = exits(vec![(RELOAD, Answer::refusal(422, diagnostics))], &["reload"], 78);
    assert!(ran.stderr.contains(diagnostics), "{ran:?}");
}

#[test]
fn a_watch_ends_with_the_agent() {
    let event =
        json!({"schema": 1, "time": "2026-11-23T16:00:00Z", "type": "recovered", "namespace": "q"});
    let lines = || vec![(WATCH, Answer::Lines(vec![event.to_string()]))];
    let ran = exits(lines(), &["watch"], 3);
    assert_eq!(ran.stdout, "2026-11-23 16:00:00.000 UTC  q  audited again\n");
    assert_eq!(ran.stderr, "anetconctl: the agent has stopped\n");
    let ran = exits(lines(), &["watch", "--json"], 3);
    assert_eq!(ran.stdout, format!("{event}\n"));
}

#[test]
fn an_address_finds_its_namespace() {
    let answers = || {
        let both =
            [namespace("a", "audited"), namespace("gone", "audited"), namespace("b", "audited")];
        vec![
            (LIST, Answer::json(&namespaces(&both))),
            ("GET /v1/namespaces/a", Answer::json(&detail("a", "203.0.113.1/24"))),
            ("GET /v1/namespaces/b", Answer::json(&detail("b", "203.0.113.10/32"))),
        ]
    };
    let found = exits(answers(), &["show", "203.0.113.10"], 0);
    assert!(found.stdout.starts_with("b: audited since"), "{found:?}");
    let found = exits(answers(), &["show", "203.0.113.10", "--json"], 0);
    let found: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(found["namespaces"][0]["namespace"]["name"], "b");

    let absent = exits(answers(), &["show", "203.0.113.11"], 1);
    assert_eq!(absent.stderr, "anetconctl: no audited namespace holds 203.0.113.11\n");

    let mut unsure = answers();
    unsure[1].1 = Answer::refusal(503, "busy");
    let ran = exits(unsure, &["show", "203.0.113.11"], 4);
    assert!(ran.stderr.contains("cannot look into a: busy"), "{ran:?}");
}

#[test]
fn the_socket_of_the_configuration_is_used() {
    let agent = Agent::answering(vec![(STATUS, Answer::json(&status(true)))]);
    let folder = tempfile::tempdir().unwrap();
    let socket = agent.socket();
    let text = format!("[control]\nsocket = \"{}\"\n", socket.display());
    let good = write(folder.path(), "good.toml", &text);
    let absent = folder.path().join("absent.toml");
    for (file, code) in [(good, 0), (absent, 78)] {
        let mut command = tool(&["status", "-c"]);
        command.arg(file);
        assert_eq!(ran(command).code, Some(code));
    }
}

#[test]
fn a_bad_configuration_does_not_hide_an_agent() {
    let folder = tempfile::tempdir().unwrap();
    let bad = write(folder.path(), "bad.toml", "perod = 30\n");
    let mut command = tool(&["status", "-c"]);
    command.arg(&bad);
    let tried = ran(command);
    // Whoever listens in the usual place of this machine, it is not the file that ends this.
    assert_ne!(tried.code, Some(78));
    assert!(tried.stderr.contains("this asks at /run/anetcon/anetcon.sock"), "{tried:?}");

    let agent = Agent::answering(vec![(STATUS, Answer::json(&status(true)))]);
    let mut command = agent.command(&["status"]);
    command.arg("-c").arg(bad);
    let answered = ran(command);
    assert_eq!((answered.code, answered.stderr.as_str()), (Some(0), ""));
}
