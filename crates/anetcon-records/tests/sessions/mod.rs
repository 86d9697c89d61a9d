//! What the tests of session records share: connections of each kind, logs in a folder of their own, and the shipped schema.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anetcon_core::session::{Action, Event, EventKind, Flow, Icmp, Tuple, status};
use anetcon_records::session::{Origin, Run, SessionLog, SessionLogConfig};
use jiff::Timestamp;
use serde_json::Value;

pub const ROUTER: &str = "qrouter-a4fadad3-e529-4329-a086-010b84363596";
pub const BOOT: &str = "6ab0d2a6-5aa5-4a3f-9f6b-0c1c8f6a1f11";

/// Ends a broken test; a healthy one never waits that long.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanosecond()).unwrap()
}

pub fn tuple(protocol: u8, source: &str, destination: &str) -> Tuple {
    let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
    Tuple { protocol, source: at(source), destination: at(destination), icmp: None }
}

/// A TCP connection: who opened it, whom it dialled, who answered, and what the answerer saw.
pub fn flow(id: u32, source: &str, dialled: &str, server: &str, seen: &str) -> Flow {
    let snat = if source == seen { 0 } else { status::SRC_NAT };
    let dnat = if dialled == server { 0 } else { status::DST_NAT };
    Flow {
        id,
        zone: 0,
        status: snat | dnat,
        original: tuple(6, source, dialled),
        reply: tuple(6, server, seen),
        counters: None,
        start: None,
        stop: None,
    }
}

pub fn nat(id: u32) -> Flow {
    flow(id, "10.7.0.5:51234", "198.51.100.9:443", "198.51.100.9:443", "203.0.113.7:41022")
}

pub fn float(id: u32) -> Flow {
    flow(id, "198.51.100.9:40000", "203.0.113.10:22", "10.7.0.10:22", "198.51.100.9:40000")
}

pub fn hairpin(id: u32) -> Flow {
    flow(id, "10.7.0.5:51234", "203.0.113.10:22", "10.7.0.10:22", "203.0.113.5:51234")
}

pub fn direct(id: u32) -> Flow {
    let (source, destination) = ("[2001:db8:7::5]:51234", "[2001:db8:9::9]:443");
    flow(id, source, destination, destination, source)
}

pub fn ping(id: u32) -> Flow {
    let icmp = |kind, id| Some(Icmp { kind, code: 0, id });
    let mut flow = flow(id, "10.7.0.5:0", "198.51.100.9:0", "198.51.100.9:0", "203.0.113.7:0");
    flow.original = Tuple { protocol: 1, icmp: icmp(8, 77), ..flow.original };
    flow.reply = Tuple { protocol: 1, icmp: icmp(0, 78), ..flow.reply };
    flow
}

/// One of many connections of an instance, each with a source port and a translated port of its own.
pub fn one_of_many(number: u32) -> Flow {
    let port = 1024 + number % 60_000;
    let instance = number / 60_000 + 2;
    let source = format!("10.7.0.{instance}:{port}");
    let seen = format!("203.0.113.{instance}:{}", 1024 + (port + 7) % 60_000);
    let remote = format!("198.51.100.{}:443", number % 250 + 1);
    flow(number, &source, &remote, &remote, &seen)
}

pub fn event(kind: EventKind, flow: Flow) -> Event {
    Event { kind, flow, time: None }
}

pub fn new(flow: Flow) -> (Event, Action) {
    judged(event(EventKind::New, flow))
}

pub fn new_at(flow: Flow, at: Timestamp) -> (Event, Action) {
    judged(Event { time: Some(nanoseconds(at)), ..event(EventKind::New, flow) })
}

pub fn seen(flow: Flow) -> (Event, Action) {
    judged(event(EventKind::Seen, flow))
}

pub fn destroyed(flow: Flow) -> (Event, Action) {
    judged(event(EventKind::Destroy, flow))
}

pub fn judged(event: Event) -> (Event, Action) {
    let action = Action::of(event.flow.status);
    (event, action)
}

pub fn origin() -> Arc<Origin> {
    Arc::new(Origin::new(ROUTER, "1003"))
}

/// A folder with a log in it.
pub struct Folder {
    pub folder: tempfile::TempDir,
}

impl Folder {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn live(&self) -> PathBuf {
        self.path("anetcon.sessions.ndjson")
    }

    pub fn config(&self) -> SessionLogConfig {
        static RUNS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0xa0);
        let run = Run {
            hostname: "net1".into(),
            boot_id: BOOT.into(),
            id: format!("{:x}", RUNS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
            destination: true,
        };
        SessionLogConfig::new(self.live(), run)
    }

    pub fn start(&self) -> SessionLog {
        SessionLog::start(self.config(), |_| ()).unwrap()
    }

    /// Writes connections with a log of its own, and gives the records that are in the live file then.
    pub fn write(&self, config: SessionLogConfig, events: Vec<(Event, Action)>) -> Vec<Value> {
        let log = SessionLog::start(config, |_| ()).unwrap();
        log.push(&origin(), events);
        log.stop().unwrap();
        records(&self.live())
    }
}

/// The lines of a file, which all must be JSON.
pub fn records(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "torn");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `anetcon.seq` of records.
pub fn numbers(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["anetcon"]["seq"].as_u64().unwrap()).collect()
}

/// The validator of the schema that ships.
pub fn schema() -> jsonschema::Validator {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/anetcon.sessions.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Ends the test if a record is not as the schema says.
pub fn assert_valid(validator: &jsonschema::Validator, record: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(record)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{record:#}\n{errors:#?}");
}
