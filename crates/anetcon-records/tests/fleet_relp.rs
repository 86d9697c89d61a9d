//! Lines from a node to the central machine, over RELP with TLS, while everything between and around them fails.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]

mod fleet;
mod sessions;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use anetcon_records::search::{Asked, Query, Sources, Span, search};
use anetcon_records::session::SessionRecord;
use anetcon_records::session::record::Translated;
use anetcon_testkit::netns::wait_until;
use fleet::*;
use nix::sys::signal::Signal;
use sessions::{Folder, new};

const FILES: [&str; 3] = ["anetcon.sessions.ndjson", "anetcon.float.log", "anetcon.nat.log"];

/// Writes the node's three files, as the agent and rsyslog do.
struct Writer {
    folder: PathBuf,
    record: String,
    number: u16,
    files: [File; 3],
    written: [Vec<String>; 3],
}

impl Writer {
    fn new(fleet: &Fleet) -> Self {
        let (template, folder) = (Folder::new(), fleet.path("log"));
        template.write(template.config(), vec![new(sessions::nat(1))]);
        let record = fs::read_to_string(template.live()).unwrap();
        let files = FILES.map(|name| File::create(folder.join(name)).unwrap());
        Self { folder, record, number: 0, files, written: Default::default() }
    }

    /// So many lines in each file, each with the next number.
    fn write(&mut self, count: u16) {
        for _ in 0..count {
            self.number += 1;
            let number = self.number;
            let mut record: SessionRecord<'_> = serde_json::from_str(&self.record).unwrap();
            let port = Some(1024 + number);
            record.source.as_mut().unwrap().nat =
                Some(Translated { ip: "203.0.113.7".parse().unwrap(), port });
            record.anetcon.seq = number.into();
            let kernel = |kind: &str| {
                format!(
                    "2026-11-22T23:00:00.{number:06}+00:00 net1 kernel: [  100.000001] [ANETCON][{kind}][d48368ae] IN=qr-1 \
                     OUT=qg-1 SRC=10.7.0.6 DST=198.51.100.9 LEN=60 ID={number} PROTO=TCP SPT=41022 DPT=443 WINDOW=1 "
                )
            };
            let lines = [serde_json::to_string(&record).unwrap(), kernel("D"), kernel("X")];
            for ((file, line), all) in self.files.iter_mut().zip(lines).zip(&mut self.written) {
                file.write_all(format!("{line}\n").as_bytes()).unwrap();
                all.push(line);
            }
        }
    }

    /// As logrotate does: the old file gets another name, the writer goes on in a new one.
    fn rotate(&mut self, day: &str) {
        for (name, file) in FILES.iter().zip(&mut self.files) {
            let live = self.folder.join(name);
            fs::rename(&live, self.folder.join(format!("{name}-{day}"))).unwrap();
            *file = File::create(live).unwrap();
        }
    }
}

fn arrived(fleet: &Fleet, file: usize) -> Vec<String> {
    let path = central_log(fleet).join(format!("{}.{}", hostname(), FILES[file]));
    let text = String::from_utf8(fs::read(path).unwrap_or_default()).unwrap();
    // The last line may be in the middle of being written.
    text.lines().take(text.matches('\n').count()).map(str::to_owned).collect()
}

fn central_log(fleet: &Fleet) -> PathBuf {
    fleet.path("central/log")
}

/// rsyslog calls the machine by the first part of its name.
fn hostname() -> String {
    let name = anetcon_records::system::hostname();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Waits for all that was written; how many lines came more than once. Nothing else may have come.
fn assert_all_arrived(fleet: &Fleet, writer: &Writer, when: &str) -> usize {
    let mut twice = 0;
    for (file, written) in writer.written.iter().enumerate() {
        let last = written.last().unwrap();
        let mut counts = BTreeMap::new();
        wait_until(&format!("{when}, {} is whole", FILES[file]), DEADLINE, || {
            counts.clear();
            for line in arrived(fleet, file) {
                *counts.entry(line).or_insert(0) += 1;
            }
            counts.contains_key(last) && written.iter().all(|line| counts.contains_key(line))
        });
        assert_eq!(counts.len(), written.len(), "{}: more than was written", FILES[file]);
        twice += counts.values().sum::<usize>() - counts.len();
    }
    println!("{when}: {} lines, {twice} more than once", writer.written.concat().len());
    twice
}

/// Waits until lines were sent that nobody can have answered.
fn wait_in_flight(fleet: &Fleet, writer: &Writer, from: usize) {
    wait_until("lines are in flight", DEADLINE, || {
        let text = fs::read_to_string(fleet.path("spool/anetcon_in_flight")).unwrap_or_default();
        writer.written[0][from..].iter().any(|line| text.contains(line.as_str()))
    });
}

#[test]
fn rsyslogd_accepts_the_shipped_files() {
    let fleet = Fleet::new("net1.nodes.example");
    for part in ["node", "central"] {
        let said = fleet.checked(part);
        assert!(said.contains("End of config validation run"), "{said}");
        assert!(!said.contains("error") && !said.contains("warning"), "{said}");
    }
}

#[test]
fn no_line_is_lost_when_network_and_daemons_fail() {
    let mut fleet = Fleet::new("net1.nodes.example");
    let mut writer = Writer::new(&fleet);
    fleet.start_central();
    fleet.start_node();
    writer.write(200);
    assert_eq!(assert_all_arrived(&fleet, &writer, "undisturbed"), 0);

    fleet.drop_packets(true);
    writer.write(1000);
    wait_in_flight(&fleet, &writer, 200);
    writer.rotate("20261123");
    writer.write(1000);
    fleet.drop_packets(false);
    assert_all_arrived(&fleet, &writer, "after packets were dropped");

    fleet.set_link("down");
    writer.write(1000);
    wait_in_flight(&fleet, &writer, 2200);
    fleet.end_node(Signal::SIGTERM);
    writer.write(500);
    writer.rotate("20261124");
    writer.write(500);
    fleet.start_node();
    writer.write(500);
    fleet.set_link("up");
    assert_all_arrived(&fleet, &writer, "after a restart of the node without a link");

    fleet.drop_packets(true);
    writer.write(1000);
    wait_in_flight(&fleet, &writer, 4700);
    fleet.end_node(Signal::SIGKILL);
    writer.write(500);
    fleet.start_node();
    fleet.drop_packets(false);
    fleet.end_central(Signal::SIGKILL);
    writer.write(500);
    fleet.start_central();
    assert_all_arrived(&fleet, &writer, "after both were killed");
    assert_found_once(&fleet, &writer);
}

/// What came twice is shown once: `who` reads the folder as it is.
fn assert_found_once(fleet: &Fleet, writer: &Writer) {
    let sources = Sources::in_folder(&central_log(fleet), FILES[0].as_ref());
    for port in [1025, 3224, 1024 + writer.number] {
        let asked = Asked::parse(&format!("203.0.113.7:{port}")).unwrap();
        let query =
            Query { asked, peer: None, span: Span::default(), transport: None, namespace: None };
        let found = search(&query, &sources, 20).unwrap();
        assert_eq!((found.hits.len(), found.matched), (1, 1), "{port}: {found:#?}");
    }
}

#[test]
fn a_stranger_cannot_write() {
    let mut fleet = Fleet::new("stranger.example");
    let mut writer = Writer::new(&fleet);
    fleet.start_central();
    fleet.start_node();
    writer.write(10);
    wait_until("the central machine refuses the stranger", DEADLINE, || {
        fleet.said("central").contains("stranger.example")
    });
    assert!(arrived(&fleet, 0).is_empty());
}
