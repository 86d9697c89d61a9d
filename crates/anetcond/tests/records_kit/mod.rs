//! What the tests of session records share: records as connections, `conntrack` as a second reader, and connections
//! that are put into the kernel's table by the thousand without one packet or line in the kernel log.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up ends here")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::beside::Beside;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::netns::{Netns, wait_until};
use anetcon_testkit::traffic::Connection;
use serde_json::Value;

pub const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// Ends a broken test; far longer than anything takes that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A connection: what the client is and dialled, what the server is and saw.
pub type Sides = [SocketAddr; 4];

pub fn sides_of(connection: &Connection) -> Sides {
    [connection.client, connection.dialled, connection.server, connection.seen_client]
}

/// An agent that audits these namespaces, ready.
pub fn auditing(netns: &[&Netns], change: impl FnOnce(&mut Configuration)) -> Agent {
    let mut agent = prepared(netns, change);
    agent.start_again();
    agent.wait_audited(netns.len() as u64);
    wait_followed(&agent, netns.len() as u64);
    agent
}

/// An agent that does not run yet.
pub fn prepared(netns: &[&Netns], change: impl FnOnce(&mut Configuration)) -> Agent {
    let names: Vec<&str> = netns.iter().map(|netns| netns.name()).collect();
    let mut configuration = Configuration::auditing(&names);
    change(&mut configuration);
    Agent::prepared(Path::new(ANETCOND), configuration)
}

/// Waits until the connections of so many namespaces are being recorded.
pub fn wait_followed(agent: &Agent, count: u64) {
    agent.wait_for_status(&format!("{count} namespaces are recorded"), |status| {
        status["records"]["namespaces"] == count
    });
}

/// Changes the configuration and puts it in force; when this returns that is done.
pub fn reload(agent: &mut Agent, change: impl FnOnce(&mut Configuration)) {
    agent.configure(change);
    let response = agent.request("POST", "/v1/reload").unwrap();
    assert_eq!(response.code, 200, "{}", response.body);
}

/// Has the agent open its file anew.
pub fn rotate(agent: &Agent) {
    let response = agent.request("POST", "/v1/rotate").unwrap();
    assert_eq!(response.code, 200, "{}", response.body);
}

/// The file of the configuration that was last written.
pub fn file(agent: &Agent) -> PathBuf {
    agent.folder().join("log").join(&agent.configuration().record_file)
}

/// The records of a file in its order, marks and all. None while it does not exist.
pub fn read(path: &Path) -> Vec<Value> {
    let (records, damaged) = read_damaged(path);
    assert!(damaged.is_empty(), "damaged lines in {}: {damaged:#?}", path.display());
    records
}

/// As [`read`], and the lines that are none.
pub fn read_damaged(path: &Path) -> (Vec<Value>, Vec<String>) {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8(text).unwrap();
    let mut damaged = Vec::new();
    // The last line may be in the middle of being written.
    let whole = text.lines().take(text.matches('\n').count());
    let records = whole.filter_map(|line| {
        let record = serde_json::from_str(line);
        record.map_err(|_| damaged.push(line.to_owned())).ok()
    });
    (records.collect(), damaged)
}

/// The records so far. For a mark that was made after all that is of interest is waited: events come in order.
pub fn settled(agent: &Agent, netns: &Netns) -> Vec<Value> {
    settle(agent, netns);
    without_marks(read(&file(agent)))
}

/// Waits until everything that happened in the namespace so far is on record.
pub fn settle(agent: &Agent, netns: &Netns) {
    settle_as(agent, netns, MARKS[0]);
}

/// As [`settle`], where not every instance is on record: the mark's address is this one of [`MARKS`].
pub fn settle_as(agent: &Agent, netns: &Netns, source: &str) {
    static NUMBER: AtomicU16 = AtomicU16::new(1024);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    insert(netns, &tuple(source, MARKED, number));
    wait_until(&format!("mark {number} is on record"), PATIENCE, || {
        let path = file(agent);
        let (records, _) = read_damaged(&path);
        records.iter().any(|record| is_mark(record) && record["source"]["port"] == number)
    });
}

/// The sources of marks, one in each subnet of a router.
pub const MARKS: [&str; 2] = ["10.7.0.250", "10.8.0.250"];
const MARKED: &str = "192.0.2.99";

pub fn without_marks(mut records: Vec<Value>) -> Vec<Value> {
    records.retain(|record| !is_mark(record));
    records
}

fn is_mark(record: &Value) -> bool {
    record["source"]["ip"].as_str().is_some_and(|ip| MARKS.contains(&ip))
}

/// What a record says of both ends. Ports of protocols that have none are 0.
pub fn sides(record: &Value) -> Sides {
    let end = |end: &Value| {
        let port = end["port"].as_u64().unwrap_or_default();
        let ip = end["ip"].as_str().unwrap_or_else(|| panic!("no address in {record:#}"));
        SocketAddr::new(ip.parse().unwrap(), port.try_into().unwrap())
    };
    let translated =
        |whole: &Value| end(if whole["nat"].is_null() { whole } else { &whole["nat"] });
    let (source, destination) = (&record["source"], &record["destination"]);
    [end(source), end(destination), translated(destination), translated(source)]
}

pub fn action(record: &Value) -> &str {
    record["event"]["action"].as_str().unwrap()
}

pub fn all_sides(records: &[Value]) -> Vec<Sides> {
    sorted(records.iter().map(sides).collect())
}

pub fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

/// Each of these is on record once, and nothing else is.
pub fn assert_once(records: &[Value], made: &[Sides]) {
    let mut counts: BTreeMap<Sides, i32> = BTreeMap::new();
    for record in records {
        *counts.entry(sides(record)).or_default() += 1;
    }
    for connection in made {
        *counts.entry(*connection).or_default() -= 1;
    }
    counts.retain(|_, count| *count != 0);
    let wrong: Vec<_> = counts.iter().take(20).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} connections are not on record once ({} records); negative: missing\n{wrong:#?}",
        counts.len(),
        made.len(),
        records.len()
    );
}

/// The numbers of each run of the agent start at 1 and have no holes, over files in the order of their making.
pub fn assert_no_holes(records: &[Value]) {
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    for record in records {
        let run = record["agent"]["ephemeral_id"].as_str().unwrap();
        let expected = next.entry(run).or_insert(1);
        assert_eq!(record["anetcon"]["seq"], *expected, "{record:#}");
        *expected += 1;
    }
}

/// One connection as `conntrack -R` wants it.
fn tuple(source: &str, destination: &str, port: u16) -> String {
    format!(
        "-I -s {source} -d {destination} -p tcp --sport {port} --dport 443 -t 300 --state ESTABLISHED -u SEEN_REPLY\n"
    )
}

/// Open connections with these numbers, at most 60,000, from 10.9.0.0/16: in the kernel's table without any packet.
pub fn open(netns: &Netns, numbers: Range<u16>) -> Vec<Sides> {
    let mut commands = String::new();
    let mut made = Vec::new();
    for number in numbers {
        let (source, dialled) = ends(number);
        let _ = write!(commands, "{}", tuple(&source.ip().to_string(), "192.0.2.1", source.port()));
        made.push([source, dialled, dialled, source]);
    }
    insert(netns, &commands);
    made
}

/// The ends of the connection with this number.
fn ends(number: u16) -> (SocketAddr, SocketAddr) {
    let [high, low] = number.to_be_bytes();
    (SocketAddr::from(([10, 9, high, low], 4000)), SocketAddr::from(([192, 0, 2, 1], 443)))
}

/// Ends one of them.
pub fn close(netns: &Netns, number: u16) {
    let source = ends(number).0.ip().to_string();
    run(netns, "conntrack", &["-D", "-s", &source]);
}

fn insert(netns: &Netns, commands: &str) {
    let mut command = netns.command("conntrack");
    command.args(["-R", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "conntrack -R: {output:?}");
}

/// Opens connections, some at a time, until told to stop. Which.
fn load(netns: &Netns, stop: &AtomicBool, made: &AtomicU16) -> Vec<Sides> {
    const AT_ONCE: u16 = 40;
    let mut all = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let next = made.load(Ordering::Relaxed);
        all.extend(open(netns, next..next + AT_ONCE));
        made.store(next + AT_ONCE, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(2));
    }
    all
}

/// Runs `meanwhile` under load, with a way to wait for more of it. Every connection that was opened.
pub fn under_load(netns: &Netns, meanwhile: impl FnOnce(&dyn Fn())) -> Vec<Sides> {
    let (stop, made) = (AtomicBool::new(false), AtomicU16::new(0));
    let more = || {
        let wanted = made.load(Ordering::Relaxed) + 100;
        wait_until("the load goes on", PATIENCE, || made.load(Ordering::Relaxed) >= wanted);
    };
    thread::scope(|scope| {
        let load = scope.spawn(|| load(netns, &stop, &made));
        // Stops also when `meanwhile` panics, or the scope would wait for ever.
        let guard = Stop(&stop);
        meanwhile(&more);
        drop(guard);
        load.join().unwrap()
    })
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a program in the namespace, which must succeed.
pub fn run(netns: &Netns, program: &str, arguments: &[&str]) -> String {
    let output = netns.command(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Sets a setting of the namespace, below `/proc/sys/net/netfilter`.
pub fn set(netns: &Netns, name: &str, value: &str) {
    netns.run(|| fs::write(format!("/proc/sys/net/netfilter/{name}"), value)).unwrap();
}

/// What `conntrack -E` wrote about these protocols once that is `count` lines: each line's words with a key.
pub fn told(beside: &Beside, protocols: &[&str], count: usize) -> Vec<Vec<(String, String)>> {
    wait_until(&format!("conntrack -E wrote {count} lines"), PATIENCE, || {
        let lines = beside.lines();
        let found: Vec<_> = lines
            .iter()
            .filter(|line| {
                // [NEW] ipv4 2 tcp 6 ...
                let name = line.split_whitespace().nth(3).unwrap_or_default();
                protocols.contains(&name) && !line.contains(MARKED)
            })
            .map(|line| {
                let pairs = line.split_whitespace().filter_map(|word| word.split_once('='));
                pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
            })
            .collect();
        (found.len() >= count).then_some(found)
    })
}

/// The connections with ports that it told of, with their ids.
pub fn told_connections(beside: &Beside, protocols: &[&str], count: usize) -> Vec<(Sides, u64)> {
    sorted(told(beside, protocols, count).iter().map(|line| connection(line)).collect())
}

/// What a line of `conntrack` says of both ends, and its id.
fn connection(line: &[(String, String)]) -> (Sides, u64) {
    let all = |wanted: &str| -> Vec<&str> {
        line.iter().filter(|(key, _)| key == wanted).map(|(_, value)| value.as_str()).collect()
    };
    let at = |ip: &str, port: &str| SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap());
    let (src, dst, sport, dport) = (all("src"), all("dst"), all("sport"), all("dport"));
    let sides =
        [at(src[0], sport[0]), at(dst[0], dport[0]), at(src[1], sport[1]), at(dst[1], dport[1])];
    (sides, all("id")[0].parse().unwrap())
}

/// Ends the test if a record is not as the schema that ships says.
pub fn assert_valid(records: &[Value]) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/anetcon.sessions.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for record in records {
        let errors: Vec<String> = validator
            .iter_errors(record)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{record:#}\n{errors:#?}");
    }
}
