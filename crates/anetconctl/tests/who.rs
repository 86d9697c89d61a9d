//! `who` and `rotate` as a responder and logrotate use them: sentences, JSON, exit codes, refused arguments.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use common::{Agent, Answer, Ran, ran, tool, unprivileged};
use serde_json::json;

const ROUTER: &str = "qrouter-a4fadad3-e529-4329-a086-010b84363596";

/// One record: the time, `source`, `destination`, the action and the kind.
fn record(
    seq: u32,
    time: &str,
    source: &str,
    destination: &str,
    action: &str,
    kind: &str,
) -> String {
    let about = match action {
        "seen" => "info",
        "end" => "end",
        _ => "start",
    };
    let start = if action == "end" { ",\"start\":\"2026-11-23T14:00:00.000000Z\"" } else { "" };
    let family = if source.contains("::") { "ipv6" } else { "ipv4" };
    format!(
        "{{\"@timestamp\":\"2026-11-23T{time}Z\",\"ecs\":{{\"version\":\"8.11.0\"}},\"event\":{{\"kind\":\"event\",\
         \"category\":[\"network\"],\"type\":[\"connection\",\"{about}\"],\"action\":\"{action}\"{start}}},\"network\":\
         {{\"transport\":\"tcp\",\"type\":\"{family}\"}},{source}{destination}\"observer\":{{\"hostname\":\"net1\"}},\
         \"agent\":{{\"ephemeral_id\":\"a0\"}},\"anetcon\":{{\"namespace\":\"{ROUTER}\",\"router_id\":\
         \"a4fadad3-e529-4329-a086-010b84363596\",\"cookie\":\"1003\",\"boot_id\":\
         \"6ab0d2a6-5aa5-4a3f-9f6b-0c1c8f6a1f11\",\"kind\":\"{kind}\",\"conntrack_id\":{seq},\"zone\":0,\"seq\":{seq},\
         \"clock\":\"kernel\"}}}}\n"
    )
}

fn end(name: &str, address: &str, port: u16, nat: Option<(&str, u16)>) -> String {
    let nat = nat.map(|(ip, port)| format!(",\"nat\":{{\"ip\":\"{ip}\",\"port\":{port}}}"));
    let nat = nat.unwrap_or_default();
    format!("\"{name}\":{{\"ip\":\"{address}\",\"port\":{port}{nat}}},")
}

/// A connection of each kind.
fn records() -> String {
    let source = |address, port, nat| end("source", address, port, nat);
    let destination = |address, port, nat| end("destination", address, port, nat);
    let remote = || destination("198.51.100.9", 443, None);
    let routed = |port| source("10.7.0.5", 51234, Some(("203.0.113.7", port)));
    let floating = || destination("203.0.113.10", 22, Some(("10.7.0.10", 22)));
    [
        record(1, "14:03:10.123456", &routed(41022), &remote(), "nat", "nat"),
        record(
            2,
            "14:04:00.000000",
            &source("198.51.100.9", 40000, None),
            &floating(),
            "float",
            "float",
        ),
        record(3, "14:05:00.000000", &routed(41023), &floating(), "float", "float"),
        record(
            4,
            "14:06:00.000000",
            &source("2001:db8:7::5", 51234, None),
            &destination("2001:db8:9::9", 443, None),
            "direct",
            "direct",
        ),
        record(5, "14:07:00.000000", &routed(41024), &remote(), "seen", "nat"),
        record(6, "14:00:00.000000", &routed(41025), &remote(), "nat", "nat"),
        record(6, "14:08:00.000000", &routed(41025), &remote(), "end", "nat"),
        record(7, "14:09:00.000000", &routed(41026), "", "nat", "nat"),
        record(8, "14:10:00.000000", &routed(41027), &remote(), "nat", "nat"),
        record(9, "14:20:00.000000", &routed(41027), &remote(), "nat", "nat"),
    ]
    .concat()
}

/// A folder with the records, and kernel lines of the day before.
fn evidence() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("anetcon.sessions.ndjson", &records());
    write("namespace.hash", "d48368ae qrouter-1\n");
    write(
        "anetcon.nat.log",
        "2026-11-22T23:00:00.000001+00:00 net1 kernel: [  100.000001] [ANETCON][X][d48368ae] IN=qr-1 OUT=qg-1 \
         SRC=10.7.0.6 DST=198.51.100.9 LEN=60 TTL=63 ID=1 PROTO=TCP SPT=41022 DPT=443 WINDOW=1 \n",
    );
    folder
}

fn who(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = tool(&["who"]);
    command.args(arguments).arg("--dir").arg(folder).env("TZ", "Europe/Berlin");
    ran(command)
}

#[test]
fn each_kind_of_connection_has_its_sentence() {
    let folder = evidence();
    let questions: [&[&str]; 13] = [
        &["203.0.113.7:41022"],
        &["203.0.113.7:41022", "--at", "2026-11-23T14:03:30Z"],
        &["203.0.113.10:22", "--to", "2026-11-23T14:04:30Z"],
        &["203.0.113.10:22", "--from", "2026-11-23T14:04:30Z"],
        &["203.0.113.7:41023"],
        &["[2001:db8:7::5]:51234"],
        &["203.0.113.7:41024"],
        &["203.0.113.7:41025"],
        &["203.0.113.7:41026", "--peer", "198.51.100.9"],
        &["203.0.113.7:41027", "--at", "2026-11-23T14:12:00Z", "--window", "1h"],
        &["203.0.113.7", "--limit", "2"],
        &["10.7.0.6:41022"],
        &["203.0.113.7:41022", "--at", "2026-11-22T23:00:10Z"],
    ];
    let mut text = String::new();
    for question in questions {
        let ran = who(folder.path(), question);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{question:?}: {ran:?}");
        text.push_str(&format!("$ who {}\n{}\n", question.join(" "), ran.stdout));
    }
    insta::assert_snapshot!("sentences", text);
}

#[test]
fn nothing_found_says_what_was_searched() {
    let folder = evidence();
    let path = folder.path().display().to_string();
    let questions: [&[&str]; 2] =
        [&["203.0.113.7:9"], &["203.0.113.99", "--at", "2026-11-23T14:03:10Z", "--proto", "udp"]];
    let mut text = String::new();
    for question in questions {
        let ran = who(folder.path(), question);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
        text.push_str(&format!("$ who {}\n{}\n", question.join(" "), ran.stdout));
        let json = who(folder.path(), &[question, &["--json"]].concat());
        assert_eq!((json.code, json.stdout.as_str()), (Some(1), ""));
        assert!(json.stderr.contains("Nothing found"), "{json:?}");
    }
    insta::assert_snapshot!("nothing", text.replace(&path, "FOLDER"));
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(who(empty.path(), &["203.0.113.7"]).code, Some(1));
}

#[test]
fn json_is_the_records_themselves_with_their_rank() {
    let folder = evidence();
    let question =
        ["203.0.113.7:41027", "--at", "2026-11-23T14:19:00Z", "--window", "1h", "--json"];
    let ran = who(folder.path(), &question);
    let records = records();
    let lines: Vec<&str> = records.lines().collect();
    let ranked = |line: &str, rank: u32| {
        line.replace("\"anetcon\":{", &format!("\"anetcon\":{{\"rank\":{rank},"))
    };
    let expected = format!("{}\n{}\n", ranked(lines[9], 1), ranked(lines[8], 2));
    assert_eq!((ran.code, ran.stdout), (Some(0), expected));
    let cut = who(folder.path(), &["203.0.113.7", "--json", "--limit", "2"]);
    assert_eq!((cut.code, cut.stdout.lines().count()), (Some(0), 2));
    let notes = "anetconctl: 6 more records fit: raise --limit\n\
                 Not known to be complete until now: there is no ledger\n";
    assert_eq!(cut.stderr, notes);
}

#[test]
fn a_refused_argument_shows_the_wrong_part() {
    let folder = evidence();
    let questions: [&[&str]; 14] = [
        &["203.0.113.700:22"],
        &["203.0.113.7:65536"],
        &["2001:db8::7g"],
        &["[2001:db8::7"],
        &["router.example"],
        &["evil\x1b[2J"],
        &["203.0.113.7", "--at", "2026-13-23 14:03:10"],
        &["203.0.113.7", "--at", "yesterday"],
        &["203.0.113.7", "--at", "-2x"],
        &["203.0.113.7", "--at", "2026-10-25 02:30:00"],
        &["203.0.113.7", "--at", "now", "--window", "5"],
        &["203.0.113.7", "--from", "now", "--to", "-1h"],
        &["203.0.113.7", "--proto", "http"],
        &["203.0.113.7", "--namespace", "qrouter-("],
    ];
    let mut text = String::new();
    for question in questions {
        let ran = who(folder.path(), question);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{question:?}: {ran:?}");
        text.push_str(&ran.stderr);
        text.push('\n');
    }
    insta::assert_snapshot!("refused", text);
}

#[test]
fn local_time_is_said_to_be_local() {
    let folder = evidence();
    let ran = who(folder.path(), &["203.0.113.7:41022", "--at", "2026-11-23 15:03:10"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let note = "--at is taken as local time (+01, Europe/Berlin): 2026-11-23 14:03:10 UTC\n";
    assert_eq!(ran.stderr, format!("anetconctl: {note}"));
}

#[test]
fn damage_is_told_and_not_fatal() {
    let folder = evidence();
    let file = folder.path().join("anetcon.sessions.ndjson");
    fs::write(&file, format!("{{\"torn\n{}", records())).unwrap();
    fs::write(folder.path().join("anetcon.sessions.ndjson-20261101.gz"), b"\x1f\x8bnonsense")
        .unwrap();
    let ran = who(folder.path(), &["203.0.113.7:41022"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("ndjson: 1 damaged line was passed over, the first at byte 0"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("-20261101.gz cannot be searched to its end"), "{ran:?}");
}

#[test]
fn four_if_no_file_could_be_read() {
    let folder = evidence();
    for file in fs::read_dir(folder.path()).unwrap() {
        fs::set_permissions(file.unwrap().path(), Permissions::from_mode(0o600)).unwrap();
    }
    let path = folder.path().display().to_string();
    let ran_as_nobody = ran(unprivileged(&["who", "203.0.113.7", "--dir", &path]));
    assert_eq!(ran_as_nobody.code, Some(4), "{ran_as_nobody:?}");
    assert_eq!(who(&folder.path().join("absent"), &["203.0.113.7"]).code, Some(4));
}

#[test]
fn rotate_asks_the_agent() {
    const ROTATE: &str = "POST /v1/rotate";
    let files = json!({"schema": 1, "files": ["/var/log/anetcon/anetcon.sessions.ndjson"]});
    let rotated = Agent::answering(vec![(ROTATE, Answer::json(&files))]).run(&["rotate"]);
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    assert_eq!(rotated.stdout, "Open: /var/log/anetcon/anetcon.sessions.ndjson\n");
    let refused = Agent::answering(vec![(ROTATE, Answer::refusal(403, "only root may"))]);
    assert_eq!(refused.run(&["rotate"]).code, Some(4));
    let absent = ran(tool(&["rotate", "--socket", "/nonexistent/anetcon.sock"]));
    assert_eq!(absent.code, Some(3));
}
