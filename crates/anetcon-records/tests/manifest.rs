//! What was rotated away is listed, and every change of it is found and named.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]
#![allow(
    clippy::disallowed_methods,
    reason = "sha256sum, zcat and zstd are the other implementation"
)]

mod sessions;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use anetcon_records::manifest::{
    FILE_NAME, Fault, Finding, Hash, Listed, Manifest, Report, State, verify,
};
use anetcon_records::search::Content;
use serde_json::Value;
use sessions::{DEADLINE, Folder, new, one_of_many, records};

const NAME: &str = "anetcon.sessions.ndjson";

/// Log files in one folder, the manifest in another.
struct Evidence {
    logs: Folder,
    state: tempfile::TempDir,
    told: Arc<Mutex<Vec<Listed>>>,
}

impl Evidence {
    /// Three rotated files, the oldest one packed, and a live one.
    fn new() -> Self {
        let evidence =
            Self { logs: Folder::new(), state: tempfile::tempdir().unwrap(), told: Arc::default() };
        for (numbers, name) in [(0..10, "3"), (10..20, "2"), (20..30, "1"), (30..40, "")] {
            evidence.write(numbers);
            if !name.is_empty() {
                let rotated = evidence.file(name);
                fs::rename(evidence.logs.live(), &rotated).unwrap();
                quiet(&rotated);
            }
        }
        evidence.pack("gzip", "3");
        evidence
    }

    fn write(&self, numbers: std::ops::Range<u32>) {
        let mut config = self.logs.config();
        config.tail = 0;
        self.logs.write(config, numbers.map(one_of_many).map(new).collect());
    }

    fn file(&self, rest: &str) -> PathBuf {
        self.logs.path(&format!("{NAME}.{rest}"))
    }

    fn pack(&self, program: &str, rest: &str) {
        let options: &[&str] = if program == "zstd" { &["-q", "--rm"] } else { &[] };
        let packed = Command::new(program).args(options).arg(self.file(rest)).status().unwrap();
        assert!(packed.success());
    }

    fn live(&self) -> Vec<(PathBuf, Content)> {
        vec![(self.logs.live(), Content::Sessions)]
    }

    fn chain(&self) -> PathBuf {
        self.state.path().join(FILE_NAME)
    }

    /// Runs the thread until so many files are listed.
    fn list(&self, count: u64) -> String {
        let told = Arc::clone(&self.told);
        let on_event = move |listed| told.lock().unwrap().push(listed);
        let manifest = Manifest::start(self.state.path(), self.live(), on_event).unwrap();
        let until = Instant::now() + DEADLINE;
        while manifest.status().entries < count {
            assert!(Instant::now() < until, "{:?} {:?}", manifest.status(), self.told);
            manifest.look();
            std::thread::sleep(Duration::from_millis(5));
        }
        manifest.close();
        manifest.status().head
    }

    fn verify(&self, head: Option<&str>) -> Report {
        let head = head.map(|head| Hash::parse(head).unwrap());
        verify(&self.chain(), &self.live(), head).unwrap()
    }

    /// What is wrong, by file name.
    fn wrong(&self) -> Vec<(String, State)> {
        let wrong = |finding: Finding| {
            let name = finding.file.file_name().unwrap().to_string_lossy().into_owned();
            (finding.state != State::Intact).then_some((name, finding.state))
        };
        self.verify(None).findings.into_iter().filter_map(wrong).collect()
    }

    fn entries(&self) -> Vec<Value> {
        records(&self.chain())
    }
}

/// So that nobody takes it for a file that is being written.
fn quiet(path: &Path) {
    let file = File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

/// What another program says of bytes.
fn sha256sum(bytes: &[u8]) -> String {
    let mut child =
        Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

fn unpacked(program: &str, path: &Path) -> Vec<u8> {
    Command::new(program).arg(path).output().unwrap().stdout
}

fn flip(path: &Path, at: u64) {
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte[0] ^ 1]).unwrap();
}

#[test]
fn each_file_is_listed_with_what_other_programs_say_of_it() {
    let evidence = Evidence::new();
    let head = evidence.list(3);
    let entries = evidence.entries();
    let contents = [
        unpacked("zcat", &evidence.file("3.gz")),
        unpacked("cat", &evidence.file("2")),
        unpacked("cat", &evidence.file("1")),
    ];
    for (entry, content) in entries.iter().zip(&contents) {
        let lines: Vec<Value> = String::from_utf8_lossy(content)
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        assert_eq!(entry["sha256"], sha256sum(content));
        assert_eq!(
            (entry["bytes"].as_u64(), entry["lines"].as_u64()),
            (Some(content.len() as u64), Some(10))
        );
        assert_eq!(entry["first"], lines[0]["@timestamp"]);
        assert_eq!(entry["last"], lines[9]["@timestamp"]);
        assert_eq!(entry["log"], NAME);
        assert_eq!(entry["late"], true, "they were there before");
    }
    // The chain, walked with the other program.
    let text = fs::read_to_string(evidence.chain()).unwrap();
    let mut previous = "0".repeat(64);
    for (line, entry) in text.split_inclusive('\n').zip(&entries) {
        assert_eq!(entry["previous"], previous);
        previous = sha256sum(line.as_bytes());
    }
    assert_eq!(head, previous);
    let last = Listed::File { file: format!("{NAME}.1"), head: Hash::parse(&head).unwrap() };
    assert_eq!(evidence.told.lock().unwrap().last(), Some(&last));
    assert!(evidence.verify(Some(&head)).is_intact());
}

#[test]
fn rotation_goes_on_and_nothing_is_listed_twice() {
    let evidence = Evidence::new();
    evidence.list(3);
    // As logrotate does it: the next names, the older one packed, one more file.
    fs::rename(evidence.file("3.gz"), evidence.file("4.gz")).unwrap();
    fs::rename(evidence.file("2"), evidence.file("3")).unwrap();
    evidence.pack("gzip", "3");
    fs::rename(evidence.file("1"), evidence.file("2")).unwrap();
    fs::rename(evidence.logs.live(), evidence.file("1")).unwrap();
    evidence.write(40..50);
    let head = evidence.list(3);
    // The new one was written just now: it is listed once its writer is quiet.
    quiet(&evidence.file("1"));
    assert_eq!(evidence.list(4).len(), head.len());
    assert_eq!(evidence.entries().len(), 4);
    assert!(evidence.verify(Some(&head)).is_intact(), "a head of before is one of the chain");
    assert_eq!(evidence.wrong(), []);
    // The oldest one goes, as it must some day.
    fs::remove_file(evidence.file("4.gz")).unwrap();
    assert_eq!(evidence.wrong(), [(format!("{NAME}.3.gz"), State::Expired)]);
    assert!(evidence.verify(None).is_intact());
}

#[test]
fn one_byte_is_found_in_every_packing() {
    let evidence = Evidence::new();
    evidence.pack("zstd", "2");
    quiet(&evidence.file("2.zst"));
    evidence.list(3);
    assert_eq!(evidence.wrong(), []);

    flip(&evidence.file("1"), 200);
    assert_eq!(evidence.wrong(), [(format!("{NAME}.1"), State::Altered)]);
    flip(&evidence.file("1"), 200);

    for (packed, program, unpack) in [("3.gz", "gzip", "zcat"), ("2.zst", "zstd", "zstdcat")] {
        let path = evidence.file(packed);
        let mut content = unpacked(unpack, &path);
        content[300] ^= 1;
        let whole = evidence.file(packed.split('.').next().unwrap());
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&whole, content).unwrap();
        evidence.pack(program, packed.split('.').next().unwrap());
        assert_eq!(evidence.wrong(), [(format!("{NAME}.{packed}"), State::Altered)]);
        fs::write(&path, kept).unwrap();
        // And in the packed bytes.
        flip(&path, fs::metadata(&path).unwrap().len() / 2);
        let wrong = evidence.wrong();
        assert!(
            matches!(&wrong[..], [(name, State::Unreadable(_) | State::Altered)] if name.ends_with(packed)),
            "{wrong:?}"
        );
        flip(&path, fs::metadata(&path).unwrap().len() / 2);
    }
    assert_eq!(evidence.wrong(), []);
}

#[test]
fn what_is_removed_or_added_is_named() {
    let evidence = Evidence::new();
    evidence.list(3);
    let kept = fs::read(evidence.file("2")).unwrap();
    fs::remove_file(evidence.file("2")).unwrap();
    assert_eq!(evidence.wrong(), [(format!("{NAME}.2"), State::Missing)]);
    fs::write(evidence.file("2"), kept).unwrap();
    fs::write(evidence.file("7"), "{\"@timestamp\":\"2026-11-23T14:03:10.000000Z\"}\n").unwrap();
    assert_eq!(evidence.wrong(), [(format!("{NAME}.7"), State::Unlisted)]);
}

#[test]
fn a_change_of_the_chain_breaks_it() {
    let evidence = Evidence::new();
    let head = evidence.list(3);
    let text = fs::read_to_string(evidence.chain()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let altered = lines[1].replace("\"lines\":10", "\"lines\":11");
    let cases = [
        ([lines[0], &altered, lines[2]].concat(), vec![Fault::Broken { line: 3 }], false),
        ([lines[0], lines[2]].concat(), vec![Fault::Broken { line: 2 }], false),
        (
            [lines[0], "{}\n", lines[1], lines[2]].concat(),
            vec![Fault::Damaged { line: 2 }, Fault::Broken { line: 3 }],
            false,
        ),
        // Nothing in what is left tells that the end was cut off, but for the file that is not listed.
        ([lines[0], lines[1]].concat(), vec![], true),
    ];
    for (chain, faults, cut) in cases {
        fs::write(evidence.chain(), chain).unwrap();
        let report = evidence.verify(Some(&head));
        assert_eq!(report.faults, faults);
        assert_eq!(report.head_unknown, cut);
        assert!(!report.is_intact());
    }
}

#[test]
fn a_torn_line_is_sealed_and_told() {
    let evidence = Evidence::new();
    evidence.list(3);
    File::options()
        .append(true)
        .open(evidence.chain())
        .unwrap()
        .write_all(b"{\"schema\":1,")
        .unwrap();
    fs::rename(evidence.logs.live(), evidence.file("0")).unwrap();
    quiet(&evidence.file("0"));
    evidence.list(4);
    let report = evidence.verify(None);
    assert_eq!(report.faults, [Fault::Damaged { line: 4 }]);
    assert!(report.findings.iter().all(|finding| finding.state == State::Intact));
    assert!(evidence.told.lock().unwrap().iter().any(|told| matches!(told, Listed::Trouble(_))));
}
