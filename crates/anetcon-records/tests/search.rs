//! Finding connections in files as they are after some days: live, rotated, packed, damaged.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]

mod sessions;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use anetcon_records::search::{
    Answer, Asked, Found, Query, Role, Sources, Span, namespace, search,
};
use anetcon_records::session::SessionRecord;
use anetcon_records::session::record::{Endpoint, Micros, Translated};
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use sessions::*;

/// When the first record was made; the next ones follow by [`STEP`].
const BEGIN: &str = "2026-11-23T00:00:00Z";
const STEP: SignedDuration = SignedDuration::from_millis(500);

/// Files with one connection each half second, each with a source port and a translated port of its own.
struct Dataset {
    folder: Folder,
    template: String,
}

impl Dataset {
    fn new() -> Self {
        let template = Folder::new();
        template.write(template.config(), vec![new(nat(1))]);
        let template = fs::read_to_string(template.live()).unwrap();
        Self { folder: Folder::new(), template }
    }

    fn at(number: u32) -> Timestamp {
        time(BEGIN) + STEP * i32::try_from(number).unwrap()
    }

    /// Instance and router port tell the number.
    fn line(&self, number: u32) -> String {
        self.changed(number, |_| ())
    }

    fn changed(&self, number: u32, change: impl FnOnce(&mut SessionRecord<'_>)) -> String {
        let mut record: SessionRecord<'_> = serde_json::from_str(&self.template).unwrap();
        record.timestamp = Micros(Self::at(number));
        record.event.created = None;
        record.anetcon.seq = u64::from(number) + 1;
        record.anetcon.conntrack_id = number;
        let port = |number| u16::try_from(1024 + number % 60_000).unwrap();
        let source = record.source.as_mut().unwrap();
        source.port = Some(port(number));
        source.nat =
            Some(Translated { ip: "203.0.113.7".parse().unwrap(), port: Some(port(number + 7)) });
        change(&mut record);
        serde_json::to_string(&record).unwrap() + "\n"
    }

    fn lines(&self, numbers: std::ops::Range<u32>) -> String {
        numbers.map(|number| self.line(number)).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path(&format!("anetcon.sessions.ndjson{name}"))
    }

    fn write(&self, name: &str, text: &str) {
        let bytes = if name.ends_with(".gz") {
            let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text.as_bytes()).unwrap();
            packed.finish().unwrap()
        } else if name.ends_with(".zst") {
            zstd::encode_all(text.as_bytes(), 1).unwrap()
        } else {
            text.as_bytes().to_vec()
        };
        fs::write(self.file(name), bytes).unwrap();
    }

    fn search(&self, query: &Query) -> Found {
        let folder = self.folder.folder.path();
        search(query, &Sources::in_folder(folder, &self.file("")), 20).unwrap()
    }
}

fn asked(address: &str) -> Query {
    let asked = Asked::parse(address).unwrap();
    Query { asked, peer: None, span: Span::default(), transport: None, namespace: None }
}

fn about(address: &str, at: Timestamp) -> Query {
    Query { span: Span::around(at, SignedDuration::from_mins(5)), ..asked(address) }
}

/// The numbers of the records that were found, the best first.
fn numbers(found: &Found) -> Vec<u32> {
    let number = |hit: &anetcon_records::search::Hit| match hit.answer().unwrap() {
        Answer::Session(record) => record.anetcon.conntrack_id,
        Answer::Kernel(_) => panic!("a line of the kernel log: {}", hit.line),
    };
    found.hits.iter().map(number).collect()
}

#[test]
fn a_line_that_came_twice_takes_nobodys_place() {
    let dataset = Dataset::new();
    let twice: String = (0..20).map(|number| dataset.line(number).repeat(2)).collect();
    dataset.write("", &twice);
    let found = dataset.search(&asked("203.0.113.7"));
    let mut all = numbers(&found);
    all.sort_unstable();
    assert_eq!((all, found.matched), ((0..20).collect(), 20));
}

#[test]
fn the_right_one_is_found_among_thousands_however_it_is_packed() {
    let dataset = Dataset::new();
    dataset.write("-20261120.zst", &dataset.lines(0..700));
    dataset.write("-20261121.gz", &dataset.lines(700..1400));
    dataset.write("-20261122", &dataset.lines(1400..2100));
    dataset.write("", &dataset.lines(2100..2800));
    for number in [0, 699, 700, 1399, 1400, 2099, 2100, 2799] {
        let port = 1024 + number + 7;
        let found = dataset.search(&asked(&format!("203.0.113.7:{port}")));
        assert_eq!(numbers(&found), [number]);
        assert_eq!(found.matched, 1);
        let hit = &found.hits[0];
        assert_eq!(hit.fit.role, Role::OutsideSource);
        assert_eq!(format!("{}\n", hit.line), dataset.line(number));
        let found = dataset.search(&about(&format!("203.0.113.7:{port}"), Dataset::at(number)));
        assert_eq!(numbers(&found), [number], "with its time");
        let inside = dataset.search(&asked(&format!("10.7.0.5:{}", 1024 + number)));
        assert_eq!((numbers(&inside), inside.hits[0].fit.role), (vec![number], Role::InsideSource));
    }
    let far = Dataset::at(100);
    assert!(dataset.search(&about("203.0.113.7:3000", far)).hits.is_empty(), "its time is another");
    assert!(dataset.search(&asked("203.0.113.7:1")).hits.is_empty());
    assert!(dataset.search(&asked("203.0.113.70:1031")).hits.is_empty());
}

#[test]
fn every_record_of_a_span_is_found_and_none_besides() {
    let dataset = Dataset::new();
    dataset.write(".1", &dataset.lines(0..3000));
    dataset.write("", &dataset.lines(3000..6000));
    for (first, last) in
        [(0, 5999), (100, 200), (2999, 3000), (2990, 3010), (5999, 5999), (1500, 4500)]
    {
        let span = Span { from: Some(Dataset::at(first)), to: Some(Dataset::at(last)), at: None };
        let found = dataset.search(&Query { span, ..asked("203.0.113.7") });
        assert_eq!(found.matched, u64::from(last - first + 1), "{first} to {last}");
    }
}

#[test]
fn a_plain_file_is_not_read_outside_of_the_span() {
    let dataset = Dataset::new();
    dataset.write("", &dataset.lines(0..20_000));
    let size = dataset.file("").metadata().unwrap().len();
    let at = Dataset::at(10_000);
    let found = dataset.search(&about(&format!("203.0.113.7:{}", 1024 + 10_007), at));
    assert_eq!(numbers(&found), [10_000]);
    // Behind the span, late records are looked for in up to 32 MiB more; before it there is nothing to look for.
    assert!(found.files[0].searched < size - 9000 * 600, "{} of {size}", found.files[0].searched);
    let late = dataset.search(&about("203.0.113.7:9", time("2026-11-26T00:00:00Z")));
    assert_eq!(late.files[0].searched, 0);
}

#[test]
fn a_record_that_was_filed_late_is_found_by_the_time_of_its_event() {
    let dataset = Dataset::new();
    // The agent was away from 1000 on for an hour; its socket kept what happened.
    let away = |number| {
        dataset.changed(number, |record| record.event.created = Some(Micros(Dataset::at(8299))))
    };
    let text = dataset.lines(0..1000)
        + &dataset.lines(8201..8300)
        + &(1000..1400).map(away).collect::<String>()
        + &dataset.lines(8300..12_000);
    for name in ["", ".gz"] {
        let dataset = Dataset { folder: Folder::new(), template: dataset.template.clone() };
        dataset.write(name, &text);
        for number in [1200, 8250, 9000] {
            let port = 1024 + number + 7;
            let found = dataset.search(&about(&format!("203.0.113.7:{port}"), Dataset::at(number)));
            assert_eq!(numbers(&found), [number], "{name}");
        }
    }
}

#[test]
fn damaged_lines_and_files_are_counted_and_named() {
    let dataset = Dataset::new();
    let text = dataset.lines(0..100);
    let torn = format!("{}\n", &dataset.line(100)[..200]);
    let broken = dataset.line(101).replace("\"event\"", "\"evint\"");
    dataset.write(
        "",
        &format!("{text}{torn}\0\0\0\n{broken}{}{}", dataset.line(102), &dataset.line(103)[..90]),
    );
    dataset.write("-20261121.gz", &dataset.lines(200..700));
    let packed = fs::read(dataset.file("-20261121.gz")).unwrap();
    fs::write(dataset.file("-20261121.gz"), &packed[..packed.len() / 2]).unwrap();
    fs::write(dataset.file("-20261120.xz"), b"\xfd7zXZ\0...").unwrap();

    let found = dataset.search(&asked("203.0.113.7"));
    assert!(found.matched > 101, "what is whole is found: {}", found.matched);
    let report = |name| found.files.iter().find(|file| file.path == dataset.file(name)).unwrap();
    let live = report("");
    assert_eq!((live.damage.lines, live.damage.first), (4, Some(text.len() as u64)));
    assert_eq!(live.error, None);
    assert!(report("-20261121.gz").error.is_some());
    assert!(report("-20261120.xz").error.as_ref().unwrap().contains("xz"));
    assert_eq!(numbers(&dataset.search(&asked("203.0.113.7:1133"))), [102]);
}

#[test]
fn a_rotated_file_and_its_packed_copy_count_once() {
    let dataset = Dataset::new();
    dataset.write("-20261121", &dataset.lines(0..50));
    dataset.write("-20261121.gz", &dataset.lines(0..50));
    let found = dataset.search(&asked("203.0.113.7:1031"));
    assert_eq!((numbers(&found), found.matched), (vec![0], 1));
}

#[test]
fn records_that_somebody_wrote_anew_are_found() {
    let dataset = Dataset::new();
    let record: serde_json::Value = serde_json::from_str(&dataset.line(5)).unwrap();
    // Sorted keys and spaces, as Python's json.dumps does it.
    let spaced = record.to_string().replace("\":", "\": ").replace(",\"", ", \"");
    dataset.write("", &format!("{spaced}\n"));
    let found = dataset.search(&asked("203.0.113.7:1036"));
    assert_eq!(numbers(&found), [5]);
    assert!(found.hits[0].ranked(1).contains("\"rank\":1"));
}

#[test]
fn the_best_comes_first() {
    let dataset = Dataset::new();
    let port = |number: u32, at: u32| {
        dataset.changed(at, |record| {
            record.anetcon.conntrack_id = number;
            record.source.as_mut().unwrap().nat.as_mut().unwrap().port = Some(41022);
        })
    };
    let as_remote = dataset.changed(1003, |record| {
        record.anetcon.conntrack_id = 9;
        let destination = record.destination.as_mut().unwrap();
        (destination.ip, destination.port) = (Some("203.0.113.7".parse().unwrap()), Some(41022));
    });
    // Asked for 1000: opened 5 s before, 1 s after, 30 s before, 20 s after.
    let text = port(1, 940) + &port(2, 990) + &port(3, 1002) + &as_remote + &port(4, 1040);
    dataset.write("", &text);
    let found = dataset.search(&about("203.0.113.7:41022", Dataset::at(1000)));
    assert_eq!(numbers(&found), [3, 2, 1, 4, 9]);
    assert_eq!(found.hits[4].fit.role, Role::Remote);
    let newest_first = dataset.search(&asked("203.0.113.7:41022"));
    assert_eq!(numbers(&newest_first), [4, 3, 2, 1, 9]);
}

#[test]
fn the_worst_are_dropped_and_counted() {
    let dataset = Dataset::new();
    dataset.write("", &dataset.lines(0..500));
    let found = dataset.search(&asked("203.0.113.7"));
    assert_eq!((found.matched, found.hits.len()), (500, 20));
    assert_eq!(numbers(&found), (480..500).rev().collect::<Vec<_>>());
}

#[test]
fn what_is_known_besides_narrows_the_search() {
    let dataset = Dataset::new();
    let udp = dataset.changed(1, |record| record.network.transport = "udp".into());
    let other = dataset.changed(2, |record| record.anetcon.namespace = "qrouter-2".into());
    let hidden = dataset.changed(3, |record| record.destination = None);
    dataset.write("", &(dataset.line(0) + &udp + &other + &hidden));
    let all = asked("203.0.113.7");
    let udp = Query { transport: Some("udp".into()), ..all.clone() };
    assert_eq!(numbers(&dataset.search(&udp)), [1]);
    let elsewhere = Query { namespace: Some(namespace("-2$").unwrap()), ..all.clone() };
    assert_eq!(numbers(&dataset.search(&elsewhere)), [2]);
    let peer = |text| Query { peer: Some(Asked::parse(text).unwrap()), ..all.clone() };
    let known = dataset.search(&peer("198.51.100.9:443"));
    assert_eq!(numbers(&known), [2, 1, 0, 3], "the one whose other end is left out comes last");
    assert_eq!(numbers(&dataset.search(&peer("198.51.100.9:444"))), [3]);
}

#[test]
fn ipv6_is_found_as_it_is_written() {
    let dataset = Dataset::new();
    let line = dataset.changed(4, |record| {
        let nat = record.source.as_mut().unwrap().nat.as_mut().unwrap();
        (nat.ip, nat.port) = ("2001:db8::7".parse().unwrap(), Some(41022));
    });
    dataset.write("", &line);
    assert_eq!(numbers(&dataset.search(&asked("[2001:DB8:0:0::7]:41022"))), [4]);
    assert_eq!(numbers(&dataset.search(&asked("2001:db8::7"))), [4]);
}

const KERNEL: &str = "2026-11-22T23:00:00.000001+00:00 net1 kernel: [  100.000001] [ANETCON][X][d48368ae] IN=qr-1 \
    OUT=qg-1 MAC= SRC=10.7.0.5 DST=198.51.100.9 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=1 DF PROTO=TCP SPT=41022 \
    DPT=443 WINDOW=1 RES=0x00 SYN URGP=0 ";

#[test]
fn kernel_lines_answer_for_times_without_records() {
    let dataset = Dataset::new();
    dataset.write("", &dataset.lines(0..100));
    fs::write(dataset.folder.path("namespace.hash"), "d48368ae qrouter-1\n").unwrap();
    let rotated = KERNEL.replace("23:00:00", "22:00:00").replace("10.7.0.5", "10.7.0.6");
    let later = KERNEL.replace("2026-11-22T23:00:00", BEGIN.trim_end_matches('Z'));
    let mut packed = GzEncoder::new(
        File::create(dataset.folder.path("anetcon.nat.log.2.gz")).unwrap(),
        flate2::Compression::fast(),
    );
    packed.write_all(format!("{rotated}\n").as_bytes()).unwrap();
    packed.finish().unwrap();
    fs::write(dataset.folder.path("anetcon.nat.log"), format!("{KERNEL}\nother\n{later}\n"))
        .unwrap();

    let inside = dataset.search(&asked("10.7.0.5:41022"));
    let Answer::Kernel(line) = inside.hits[0].answer().unwrap() else { panic!("{inside:?}") };
    assert_eq!(
        (line.namespace.as_deref(), inside.hits[0].fit.role),
        (Some("qrouter-1"), Role::KernelLine)
    );

    let at = time("2026-11-22T23:00:10Z");
    let outside = dataset.search(&about("203.0.113.7:41022", at));
    assert_eq!(outside.hits.len(), 1, "{outside:?}");
    assert_eq!(outside.hits[0].fit.role, Role::KernelPort);
    let json: serde_json::Value = serde_json::from_str(&outside.hits[0].ranked(1)).unwrap();
    assert_eq!((&json["source"]["port"], &json["anetcon"]["rank"]), (&41022.into(), &1.into()));
    assert_eq!(json["message"], KERNEL.trim_end_matches('\n'));
    let packed = dataset.search(&about("10.7.0.6", time("2026-11-22T22:00:00Z")));
    assert_eq!(packed.hits.len(), 1, "{packed:?}");

    let covered = dataset.search(&about("203.0.113.7:41022", Dataset::at(50)));
    assert!(covered.hits.is_empty() || !covered.kernel, "session records have the last word");
    assert!(!dataset.search(&asked("203.0.113.7:1031")).kernel, "it was found in session records");
}

/// The newest record is a moment older than the line of the same connection, so the line stands where no record does.
#[test]
fn a_line_whose_connection_is_on_record_says_nothing_more() {
    let dataset = Dataset::new();
    let end = |address: &str, port, translated: Option<&str>| {
        let ip = |text: &str| text.parse().unwrap();
        let nat = translated.map(|text| Translated { ip: ip(text), port: Some(port) });
        Some(Endpoint { ip: Some(ip(address)), port: Some(port), nat, ..Endpoint::default() })
    };
    let recorded = dataset.changed(100, |record| {
        record.source = end("10.7.0.5", 41022, Some("203.0.113.7"));
        record.destination = end("198.51.100.9", 443, None);
    });
    dataset.write("", &(dataset.lines(0..100) + &recorded));
    let line = KERNEL.replace("2026-11-22T23:00:00", "2026-11-23T00:00:50");
    assert_eq!(Dataset::at(100), time("2026-11-23T00:00:50Z"));
    fs::write(dataset.folder.path("anetcon.nat.log"), format!("{line}\n")).unwrap();
    let found = dataset.search(&about("203.0.113.7:41022", Dataset::at(100)));
    assert!(found.kernel, "the line was looked at: {found:?}");
    assert_eq!((found.hits.len(), found.matched), (1, 1), "{found:?}");
    assert!(matches!(found.hits[0].answer(), Some(Answer::Session(_))));
}

#[test]
fn kernel_lines_answer_for_a_hole_between_records() {
    let dataset = Dataset::new();
    // Without a record from the first minute to the end of the first hour.
    dataset.write("", &(dataset.lines(0..120) + &dataset.lines(7200..7300)));
    let logged = KERNEL.replace("2026-11-22T23:00:00", "2026-11-23T00:30:00");
    fs::write(dataset.folder.path("anetcon.nat.log"), format!("{logged}\n")).unwrap();
    let inside_hole = dataset.search(&about("203.0.113.7:41022", time("2026-11-23T00:30:10Z")));
    assert_eq!(inside_hole.hits.len(), 1, "{inside_hole:?}");
    let recorded = dataset.search(&about("203.0.113.7:41022", time("2026-11-23T00:55:40Z")));
    assert!(!recorded.kernel, "{recorded:?}");
}

#[test]
fn nothing_at_all_is_an_answer() {
    let dataset = Dataset::new();
    let found = dataset.search(&asked("203.0.113.7"));
    assert_eq!((found.hits.len(), found.files.len(), found.covered), (0, 0, None));
    dataset.write("", "");
    dataset.write(".1", "\n");
    let found = dataset.search(&asked("203.0.113.7"));
    assert_eq!((found.hits.len(), found.files.len(), found.covered), (0, 2, None));
}
