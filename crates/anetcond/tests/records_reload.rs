//! What is recorded, and where, changes while connections are made: none is lost, and none is on record twice.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

mod records_kit;

use std::thread;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::beside::listens;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::netns::Netns;
use nix::sys::signal::Signal;
use records_kit::*;
use serde_json::Value;

const OTHER_FILE: &str = "other.ndjson";
const FILE: &str = "anetcon.sessions.ndjson";

/// The records of both files, but not ends and marks.
fn begun(agent: &Agent) -> Vec<Value> {
    let files = [FILE, OTHER_FILE].map(|name| read(&agent.folder().join("log").join(name)));
    let mut records = without_marks(files.concat());
    records.retain(|record| action(record) != "end");
    records
}

/// Each connection is on record once. They differ by their source, which is always there.
fn assert_each_source_once(records: &[Value], made: &[Sides]) {
    let found: Vec<_> = records.iter().map(|record| record["source"]["ip"].to_string()).collect();
    let wanted = made.iter().map(|sides| format!("\"{}\"", sides[0].ip()));
    let (found, wanted) = (sorted(found), sorted(wanted.collect::<Vec<_>>()));
    let twice: Vec<_> = found.windows(2).filter(|two| two[0] == two[1]).collect();
    assert!(twice.is_empty(), "{} on record twice: {:?}", twice.len(), &twice[..1]);
    let missing: Vec<_> = wanted.iter().filter(|ip| found.binary_search(ip).is_err()).collect();
    assert!(missing.is_empty(), "{} of {} missing: {:?}", missing.len(), made.len(), &missing[..1]);
    assert_eq!(found.len(), wanted.len());
}

/// Changes something and changes it back, again and again, under load. All connections stay open, so what was not on
/// record for a while is seen afterwards.
fn back_and_forth(
    label: &str,
    there: impl Fn(&mut Configuration),
    back: impl Fn(&mut Configuration),
) {
    let netns = Netns::new(label);
    let mut agent = auditing(&[&netns], |_| {});
    let made = under_load(&netns, |more| {
        for _ in 0..4 {
            more();
            reload(&mut agent, &there);
            more();
            reload(&mut agent, &back);
        }
        more();
    });
    wait_followed(&agent, 1);
    settle(&agent, &netns);
    assert_each_source_once(&begun(&agent), &made);
    // And the next start finds all of it.
    agent.kill();
    agent.start_again();
    wait_followed(&agent, 1);
    settle(&agent, &netns);
    assert_each_source_once(&begun(&agent), &made);
}

#[test]
fn switching_ends() {
    back_and_forth(
        "recends",
        |configuration| configuration.record_ends = true,
        |configuration| configuration.record_ends = false,
    );
}

#[test]
fn switching_destinations() {
    back_and_forth(
        "recdest",
        |configuration| configuration.record_destinations = false,
        |configuration| configuration.record_destinations = true,
    );
}

#[test]
fn switching_protocols() {
    back_and_forth(
        "recproto",
        |configuration| configuration.protocols = vec!["udp".into()],
        |configuration| configuration.protocols = vec!["tcp".into(), "udp".into()],
    );
}

#[test]
fn switching_networks() {
    back_and_forth(
        "recnets",
        |configuration| {
            let name = configuration.namespaces[0].trim_matches(['^', '$']).to_owned();
            configuration.networks.insert(name, vec!["172.16.0.0/12".into()]);
        },
        |configuration| configuration.networks.clear(),
    );
}

#[test]
fn switching_records_off_and_on() {
    back_and_forth(
        "recoff",
        |configuration| configuration.records = false,
        |configuration| configuration.records = true,
    );
}

#[test]
fn switching_files() {
    let netns = Netns::new("recfile");
    let mut agent = auditing(&[&netns], |_| {});
    let made = under_load(&netns, |more| {
        for _ in 0..4 {
            for name in [OTHER_FILE, FILE] {
                more();
                reload(&mut agent, |configuration| configuration.record_file = name.into());
                assert!(file(&agent).exists());
            }
        }
        more();
    });
    settle(&agent, &netns);
    assert_each_source_once(&begun(&agent), &made);
    assert!(read(&agent.folder().join("log").join(OTHER_FILE)).len() > 100);

    // What is in the other file is on record, too, when all is looked at anew.
    reload(&mut agent, |configuration| configuration.protocols.push("udp".into()));
    settle(&agent, &netns);
    assert_each_source_once(&begun(&agent), &made);
}

/// A change that comes while connections wait to be read. What they are on record as is told by either configuration.
fn with_a_burst_behind(label: &str, change: impl FnOnce(&mut Configuration)) -> (Agent, Netns) {
    let netns = Netns::new(label);
    let mut agent = auditing(&[&netns], |_| {});
    agent.configure(change);
    agent.signal(Signal::SIGSTOP);
    let made = open(&netns, 0..2000);
    thread::scope(|scope| {
        let asked = scope.spawn(|| agent.request("POST", "/v1/reload").unwrap());
        agent.signal(Signal::SIGCONT);
        assert_eq!(asked.join().unwrap().code, 200);
    });
    if agent.configuration().records {
        settle(&agent, &netns);
    }
    assert_each_source_once(&begun(&agent), &made);
    (agent, netns)
}

#[test]
fn switched_off_after_a_burst() {
    let (agent, netns) =
        with_a_burst_behind("recoffburst", |configuration| configuration.records = false);
    assert!(!listens(&netns, agent.pid(), 1 | 4));
    let status = agent.status();
    assert_eq!(status["records"]["enabled"], false, "{status:#}");
    assert!(!status["verdict"]["problems"].to_string().contains("on record"), "{status:#}");
    let before = begun(&agent).len();
    open(&netns, 3000..3010);
    assert_eq!(begun(&agent).len(), before);
}

#[test]
fn another_file_after_a_burst() {
    with_a_burst_behind("recfileburst", |configuration| {
        configuration.record_file = OTHER_FILE.into();
    });
}

#[test]
fn with_ends_after_a_burst() {
    with_a_burst_behind("recendburst", |configuration| configuration.record_ends = true);
}

#[test]
fn without_destinations_after_a_burst() {
    with_a_burst_behind("recdestburst", |configuration| configuration.record_destinations = false);
}

#[test]
fn with_other_networks_after_a_burst() {
    with_a_burst_behind("recnetsburst", |configuration| {
        let name = configuration.namespaces[0].trim_matches(['^', '$']).to_owned();
        configuration.networks.insert(name, vec!["10.7.0.0/16".into()]);
    });
}

#[test]
fn with_another_buffer_after_a_burst() {
    with_a_burst_behind("recbufburst", |configuration| configuration.record_buffer = 1 << 20);
}

#[test]
fn an_overrun_is_counted_once_when_records_are_switched_off() {
    let netns = Netns::new("recoverrun");
    let mut agent = auditing(&[&netns], |configuration| configuration.record_buffer = 65_536);
    agent.signal(Signal::SIGSTOP);
    open(&netns, 0..2000);
    agent.signal(Signal::SIGCONT);
    settle(&agent, &netns);
    let overruns = |agent: &Agent| agent.status()["records"]["overruns"].as_u64().unwrap();
    let counted = overruns(&agent);
    assert!(counted >= 1);
    reload(&mut agent, |configuration| configuration.records = false);
    assert_eq!(overruns(&agent), counted);
    reload(&mut agent, |configuration| configuration.records = true);
    wait_followed(&agent, 1);
    assert_eq!(overruns(&agent), counted);
}
