//! The control socket: what it answers, whom it lets in, and that no client disturbs the agent, whatever it sends
//! or fails to read.

#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]
#![allow(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test ends where something is wrong, and another user is another process"
)]

mod clients;
mod common;
mod watcher;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anetcon_api::{
    Diff, Event, Happening, NamespaceDetail, Namespaces, Refusal, Reload, Status, paths,
};
use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::netns::{Netns, unique, wait_until};
use nix::unistd::Group;
use serde::de::DeserializeOwned;

use self::clients::{Flavour, drain, open};
use self::common::{ANETCOND, Audited, PATIENCE};
use self::watcher::{events, subscribed};

fn document<T: DeserializeOwned>(agent: &Agent, method: &str, path: &str) -> T {
    let answer = agent.request(method, path).expect("an answer");
    assert_eq!(answer.code, 200, "{method} {path}: {}", answer.body);
    serde_json::from_str(&answer.body)
        .unwrap_or_else(|error| panic!("{method} {path}: {error}: {}", answer.body))
}

#[test]
fn every_path_answers_with_its_document() {
    let Audited { agent, netns } = Audited::new("ctlpaths");
    let status: Status = document(&agent, "GET", paths::STATUS);
    assert_eq!((status.pid, status.namespaces.audited), (agent.pid(), 1));
    let list: Namespaces = document(&agent, "GET", paths::NAMESPACES);
    assert_eq!(list.namespaces[0].name, netns.name());
    let path = format!("{}/{}", paths::NAMESPACES, netns.name());
    let detail: NamespaceDetail = document(&agent, "GET", &path);
    assert_eq!(detail.namespace, list.namespaces[0]);
    assert_eq!(detail.links[0].name, "lo");
    assert_eq!(detail.counters.len(), 2, "{:?}", detail.unreadable);
    for path in [paths::DIFF.to_owned(), format!("{}?namespace={}", paths::DIFF, netns.name())] {
        let diff: Diff = document(&agent, "GET", &path);
        assert!(diff.namespaces[0].in_force, "{diff:?}");
        assert_eq!(
            (diff.namespaces.len(), diff.namespaces[0].namespace.as_str()),
            (1, netns.name())
        );
    }
    let reload: Reload = document(&agent, "POST", paths::RELOAD);
    assert_eq!(reload.changes, Vec::<String>::new());
}

/// What is refused, and with which code.
const REFUSED: &[(&str, &str, u16)] = &[
    ("GET", "/", 404),
    ("GET", "/v1", 404),
    ("GET", "/v1/status/", 404),
    ("GET", "//v1/status", 404),
    ("GET", "/v2/status", 404),
    ("POST", "/v1/status", 405),
    ("DELETE", "/v1/namespaces", 405),
    ("PUT", "/v1/namespaces/x", 405),
    ("PATCH", "/v1/diff", 405),
    ("POST", "/v1/watch", 405),
    ("POST", "/metrics", 405),
    ("GET", "/metrics/", 404),
    ("GET", "/v1/reload", 405),
    ("BREW", "/v1/status", 405),
    ("GET", "/v1/diff?unknown=1", 400),
    ("GET", "/v1/diff?namespace=a&namespace=b", 400),
    ("GET", "/v1/diff?namespace=nobody", 404),
    ("GET", "/v1/diff?namespace=%ff", 404),
    ("GET", "/v1/namespaces/", 404),
    ("GET", "/v1/namespaces/nobody", 404),
    ("GET", "/v1/namespaces/default", 404),
    ("GET", "/v1/namespaces/..", 404),
    ("GET", "/v1/namespaces/../status", 404),
    ("GET", "/v1/namespaces/%2e%2e", 404),
    ("GET", "/v1/namespaces/..%2f..%2f..%2fetc%2fpasswd", 404),
    ("GET", "/v1/namespaces/%00", 404),
    ("GET", "/v1/namespaces/%0d%0aX-Forged:%20yes", 404),
    ("GET", "/v1/namespaces/%1b%5b2J", 404),
    ("GET", "/v1/namespaces/%", 404),
    ("GET", "/v1/namespaces/%zz", 404),
    ("GET", "/v1/namespaces/%ff%fe", 400),
];

#[test]
fn refusals_are_documents_too() {
    let Audited { agent, netns: _netns } = Audited::new("ctlrefused");
    let long = format!("/v1/namespaces/{}", "n".repeat(8000));
    let long_encoded = format!("/v1/diff?namespace={}", "%2e".repeat(2500));
    let long_ones = [("GET", long.as_str(), 404), ("GET", long_encoded.as_str(), 404)];
    for &(method, path, code) in REFUSED.iter().chain(&long_ones) {
        let answer = agent.request(method, path).expect("an answer");
        assert_eq!(answer.code, code, "{method} {path}: {}", answer.body);
        let refusal: Refusal = serde_json::from_str(&answer.body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}: {:?}", answer.body));
        assert!(!refusal.error.message.is_empty(), "{method} {path}");
        // It goes to a terminal: what the client sent must not command it.
        assert!(!refusal.error.message.contains(['\x1b', '\0', '\r']), "{refusal:?}");
    }
}

#[test]
fn a_configuration_that_cannot_be_reloaded_is_refused_with_the_diagnostics() {
    let Audited { agent, netns: _netns } = Audited::new("ctlbad");
    fs::write(agent.configuration_path(), "period = 0\n").expect("written");
    let answer = agent.request("POST", paths::RELOAD).expect("an answer");
    assert_eq!(answer.code, 422, "{}", answer.body);
    let refusal: Refusal = serde_json::from_str(&answer.body).expect("a refusal");
    assert!(refusal.error.message.contains("anetcon.toml:1:10"), "{}", refusal.error.message);
    assert_eq!(agent.status()["namespaces"]["audited"], 1, "the one before is in force");
}

#[test]
fn a_namespace_with_an_odd_name_is_found_under_its_encoded_name() {
    let name = format!("{} 50% ü", unique("ctlodd"));
    let netns = Netns::named(&name);
    let configuration = Configuration::auditing(&[netns.name()]);
    let agent = Agent::start(Path::new(ANETCOND), configuration);
    agent.wait_audited(1);
    let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("{}/{encoded}", paths::NAMESPACES);
    let detail: NamespaceDetail = document(&agent, "GET", &path);
    assert_eq!(detail.namespace.name, name);
    let diff: Diff = document(&agent, "GET", &format!("{}?namespace={encoded}", paths::DIFF));
    assert_eq!(diff.namespaces[0].namespace, name);
}

fn kind(event: &Event) -> String {
    serde_json::to_value(event).expect("JSON")["type"].as_str().expect("a type").to_owned()
}

#[test]
fn a_watcher_is_told_everything_in_order() {
    let name = unique("ctlwatch");
    let mut agent = Agent::start(Path::new(ANETCOND), Configuration::auditing(&[&name]));
    let mut told = events(subscribed(&agent.socket()));

    let netns = Netns::named(&name);
    agent.wait_audited(1);
    let flushed = netns.command("nft").args(["flush", "ruleset"]).status();
    assert!(flushed.expect("nft runs").success());
    agent.wait_for_status("the repair", |status| status["repairs"]["total"] == 1);
    agent.configure(|configuration| configuration.period = 1800);
    let _: Reload = document(&agent, "POST", paths::RELOAD);
    fs::write(agent.configuration_path(), "period = 0\n").expect("written");
    assert_eq!(agent.request("POST", paths::RELOAD).expect("an answer").code, 422);
    drop(netns);

    let mut seen = Vec::new();
    for event in told.by_ref() {
        // That setting belongs to the whole machine: others may change it now.
        if !matches!(event.happening, Happening::NfLogAllNetns { .. }) {
            seen.push(event);
        }
        if seen.last().is_some_and(|event| event.happening == Happening::Vanished) {
            break;
        }
    }
    let kinds: Vec<String> = seen.iter().map(kind).collect();
    assert_eq!(kinds, ["appeared", "audited", "repaired", "reloaded", "reload_failed", "vanished"]);
    for (index, event) in seen.iter().enumerate() {
        let of_namespace = !matches!(index, 3 | 4);
        assert_eq!(event.namespace.as_deref(), of_namespace.then_some(name.as_str()), "{event:?}");
    }
    assert!(seen.is_sorted_by_key(|event| event.time.clone()), "{seen:#?}");
    let Happening::Repaired { reasons, authors, .. } = &seen[2].happening else { unreachable!() };
    assert_eq!(reasons, &["table missing"]);
    assert_eq!(authors[0].name, "nft");
    let Happening::Reloaded { changes } = &seen[3].happening else { unreachable!() };
    assert_eq!(changes, &["period: 3600 -> 1800"]);

    assert!(agent.stop().success(), "a watcher does not keep the agent from ending");
    assert_eq!(told.next(), None, "the stream ends with the agent");
}

#[test]
fn whatever_clients_do_others_are_served_and_rules_repaired() {
    let audited = Audited::new("ctlhostile");
    let agent = &audited.agent;
    agent.status();
    let before = agent.open_files().len();
    for flavour in Flavour::ALL {
        let crowd = flavour.crowd(&agent.socket());
        audited.repair();
        agent.status();
        assert!(!crowd.is_empty(), "{flavour:?}");
        drop(crowd);
    }
    wait_until("the agent closes what its clients have closed", PATIENCE, || {
        agent.open_files().len() <= before
    });
}

#[test]
fn who_stalls_is_cut_off() {
    let Audited { agent, netns: _netns } = Audited::new("ctlstall");
    let before = agent.open_files().len();
    let mut stalled = Vec::new();
    for flavour in [Flavour::Silent, Flavour::HalfHead, Flavour::HalfBody, Flavour::Idle] {
        let crowd = flavour.crowd(&agent.socket());
        stalled.extend(crowd.into_iter().map(|client| (flavour, client)));
    }
    // The clients stay open: it is the agent that ends the conversation.
    for (flavour, client) in &stalled {
        drain(client).unwrap_or_else(|error| panic!("{flavour:?} is not cut off: {error}"));
    }
    wait_until("nothing is kept of them", PATIENCE, || agent.open_files().len() <= before);
}

#[test]
fn what_is_not_http_is_refused_at_once() {
    let Audited { agent, netns: _netns } = Audited::new("ctlgarbage");
    for garbage in clients::GARBAGE {
        let client = open(&agent.socket());
        // It may be cut off while it still sends.
        drop((&client).write_all(garbage));
        let answer = drain(&client).expect("the agent ends it");
        let answer = String::from_utf8_lossy(&answer);
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{:?}: {answer}", String::from_utf8_lossy(garbage));
    }
    agent.status();
}

/// Generous: a single 10 MB request kept in memory would break it.
const GROWTH_KB: u64 = 8 * 1024;

#[test]
fn nothing_long_is_kept_in_memory() {
    let Audited { agent, netns: _netns } = Audited::new("ctllong");
    agent.status();
    let before = clients::memory_kb(&agent);
    let crowd =
        [Flavour::LongHeader.crowd(&agent.socket()), Flavour::LongBody.crowd(&agent.socket())];
    let grown = clients::memory_kb(&agent).saturating_sub(before);
    assert!(grown < GROWTH_KB, "the agent has grown by {grown} kB");
    drop(crowd);
    let header = clients::long_header(&agent.socket());
    assert!(header.is_empty() || header.starts_with("HTTP/1.1 431"), "{header}");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let Audited { agent, netns } = Audited::new("ctlpipe");
    let client = open(&agent.socket());
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut requests = String::new();
    for _ in 0..20 {
        requests += &one(paths::NAMESPACES);
        requests += &one("/nowhere");
    }
    requests += "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    (&client).write_all(requests.as_bytes()).expect("taken");
    let answers = String::from_utf8(drain(&client).expect("ended")).expect("text");
    let codes: Vec<&str> =
        answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect();
    let wanted = [["200", "404"].repeat(20), vec!["404"]].concat();
    assert_eq!(codes, wanted);
    assert_eq!(answers.matches(netns.name()).count(), 20);
}

/// More events than the agent keeps for a slow watcher and a socket's buffer holds, together.
const FLOOD: usize = 5000;

#[test]
fn watchers_that_never_read_cost_little_and_are_told_what_they_missed() {
    let audited = Audited::new("ctldeaf");
    let agent = &audited.agent;
    let deaf: Vec<_> = (0..30).map(|_| subscribed(&agent.socket())).collect();
    // Each reload that fails is an event, and to fail for this is quick.
    fs::remove_file(agent.configuration_path()).expect("removed");
    let before = clients::memory_kb(agent);
    clients::repeat(&agent.socket(), "POST", paths::RELOAD, 422, FLOOD);
    let grown = clients::memory_kb(agent).saturating_sub(before);
    // A queue for each of them would need five times as much.
    assert!(grown < GROWTH_KB, "{grown} kB more for {FLOOD} events");
    audited.repair();
    agent.status();
    for watcher in deaf {
        let missed = events(watcher).find_map(|event| match event.happening {
            Happening::EventsMissed { count } => Some(count),
            _ => None,
        });
        assert!(missed.is_some_and(|missed| missed > 0), "{missed:?}");
    }
}

#[test]
fn only_root_and_group_adm_may_connect_and_only_root_may_write() {
    let Audited { agent, netns: _netns } = Audited::new("ctlaccess");
    // The socket's own mode must keep others out, not the folder of the test.
    fs::set_permissions(agent.folder(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let file = fs::metadata(agent.socket()).expect("a socket");
    let adm = Group::from_name("adm").expect("groups").expect("Debian has a group adm").gid;
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid()), (0o660, 0, adm.as_raw()));

    let as_nobody = |group| clients::as_nobody(&agent.socket(), group);
    assert_eq!(as_nobody(clients::NOGROUP), ["EACCES"]);
    assert_eq!(as_nobody(adm.as_raw()), ["200", "200", "200", "403"]);
    assert_eq!(agent.request("POST", paths::RELOAD).expect("an answer").code, 200);
}

/// The other user of the test above; does nothing by itself.
#[test]
fn another_user() {
    clients::another_user();
}

#[test]
fn without_a_group_adm_root_alone_may_connect() {
    // Other groups stay, so that it is the group's absence that matters.
    let hide = "sed '/^adm:/d' /etc/group >\"$0\" && mount --bind \"$0\" /etc/group && exec \"$@\"";
    let Audited { agent, netns: _netns } = Audited::prepared("ctlnoadm", |agent| {
        let group = agent.folder().join("group").display().to_string();
        agent.launch_with(&["unshare", "--mount", "sh", "-c", hide, &group]);
    });
    let file = fs::metadata(agent.socket()).expect("a socket");
    assert_eq!((file.mode() & 0o7777, file.uid()), (0o600, 0));
}
