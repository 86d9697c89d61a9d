//! How fast `anetconctl who` answers, against zgrep and grep on the same files.
#![allow(clippy::disallowed_methods, reason = "programs are compared")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::statvfs::statvfs;
use serde_json::Value;

use super::corpus::{Corpus, Wanted};
use super::stage::{Stage, field, machine};
use super::statistics::Sorted;
use super::table::{if_measured, table, thousands, verdict};

/// More than a record and its share of a packed file take.
const BYTES_FOR_RECORD: u64 = 1400;

pub(super) struct Plan {
    pub(super) records: u64,
    pub(super) files: u32,
    pub(super) runs: u32,
}

/// The files, twice: plain and packed.
struct Files {
    plain: Folder,
    packed: Folder,
}

struct Folder {
    path: PathBuf,
    files: Vec<PathBuf>,
    bytes: u64,
}

/// One way to get an answer.
struct Way {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    seconds: Vec<f64>,
    /// `anetcon.seq` of what was found.
    found: BTreeSet<u64>,
}

pub(super) fn run(stage: &Stage, binaries: &Path, plan: &Plan, folder: &Path) -> Result<()> {
    println!("bench who: how fast an address and port are found\n");
    println!("machine: {}\n", machine());
    let corpus = Corpus { records: plan.records, files: plan.files.max(1) };
    let folder = tempfile::Builder::new().prefix("anetcon-bench-").tempdir_in(folder)?;
    room(folder.path(), plan.records)?;
    let files = make(stage, &corpus, folder.path())?;
    tell_about(&files, &corpus);

    // A record that goes out, four fifths of the way through the day.
    let number = plan.records / 5 * 4;
    let wanted = corpus.wanted(number);
    let mut ways = ways(&binaries.join("anetconctl"), &files, &wanted);
    let limit = Duration::from_secs(600);
    // The first round fills the page cache and is not counted.
    for round in 0..=plan.runs {
        for way in &mut ways {
            let (seconds, found) = way.ask(stage, limit)?;
            if round == 0 {
                way.found = found;
            } else {
                ensure!(found == way.found, "{} found something else than before", way.name);
                way.seconds.push(seconds);
            }
        }
    }
    report(&ways, &wanted, number + 1)
}

fn ways(program: &Path, files: &Files, wanted: &Wanted) -> Vec<Way> {
    let asked = format!("{}:{}", wanted.address, wanted.port);
    // As an outside address stands in a record.
    let text = format!("\"ip\":\"{}\",\"port\":{}}}", wanted.address, wanted.port);
    let who = |folder: &Folder, more: &[String]| {
        let folder = folder.path.display().to_string();
        let words = ["who", &asked, "--dir", &folder, "--json", "--limit", "100000"];
        words.iter().map(|word| (*word).to_owned()).chain(more.iter().cloned()).collect()
    };
    let grep = |folder: &Folder| {
        let files = folder.files.iter().map(|file| file.display().to_string());
        ["-F", "-h", &text].iter().map(|word| (*word).to_owned()).chain(files).collect()
    };
    let way = |name, program: &Path, arguments| Way {
        name,
        program: program.to_owned(),
        arguments,
        seconds: Vec::new(),
        found: BTreeSet::new(),
    };
    vec![
        way("who, gz", program, who(&files.packed, &[])),
        way("zgrep -F, gz", Path::new("zgrep"), grep(&files.packed)),
        way("who, plain", program, who(&files.plain, &[])),
        way("grep -F, plain", Path::new("grep"), grep(&files.plain)),
        way("who --at, plain", program, who(&files.plain, &["--at".to_owned(), wanted.time()])),
    ]
}

impl Way {
    /// One run, from the start of the process to its end.
    fn ask(&self, stage: &Stage, limit: Duration) -> Result<(f64, BTreeSet<u64>)> {
        let start = Instant::now();
        let mut command = Command::new(&self.program);
        // Bytes, not letters: faster for grep.
        command
            .args(&self.arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let child = command.spawn().with_context(|| format!("cannot start {}", self.name))?;
        let output = finished(stage, child, limit).with_context(|| self.name)?;
        let seconds = start.elapsed().as_secs_f64();
        let found = output
            .lines()
            .map(|line| -> Result<u64> {
                let record: Value = serde_json::from_str(line)?;
                record.pointer("/anetcon/seq").and_then(Value::as_u64).context("no number")
            })
            .collect::<Result<_>>()
            .with_context(|| format!("{} printed no records", self.name))?;
        Ok((seconds, found))
    }
}

/// What a child printed. It is killed when the benchmark is interrupted.
fn finished(stage: &Stage, mut child: Child, limit: Duration) -> Result<String> {
    let mut stdout = child.stdout.take().context("no stdout")?;
    let reader = thread::spawn(move || std::io::read_to_string(&mut stdout));
    let end = Instant::now() + limit;
    // Short, and so not much beside what is measured.
    while !reader.is_finished() {
        if stage.check().is_err() || Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            stage.check()?;
            ensure!(Instant::now() <= end, "took longer than {limit:?}");
        }
        thread::sleep(Duration::from_micros(500));
    }
    let status = child.wait()?;
    ensure!(status.success(), "ended with {status}");
    reader.join().ok().context("the reader panicked")?.context("not text")
}

fn room(folder: &Path, records: u64) -> Result<()> {
    let free = statvfs(folder)?;
    let free = free.blocks_available() as u64 * free.fragment_size() as u64;
    let needed = records * BYTES_FOR_RECORD;
    ensure!(
        free > needed,
        "{} has {} MB free, the files may need {} MB: give another --folder, or fewer --records",
        folder.display(),
        thousands(free / 1_000_000),
        thousands(needed / 1_000_000)
    );
    Ok(())
}

fn make(stage: &Stage, corpus: &Corpus, folder: &Path) -> Result<Files> {
    let [plain, packed] = ["plain", "gz"].map(|name| folder.join(name));
    fs::create_dir(&plain)?;
    fs::create_dir(&packed)?;
    println!("making {} records in {}", thousands(corpus.records), folder.display());
    let files = corpus.make(stage, &plain)?;
    let packed_files = pack(stage, &files, &packed)?;
    // So that nothing is written to the disk while we measure.
    nix::unistd::sync();
    Ok(Files { plain: Folder::of(plain, files)?, packed: Folder::of(packed, packed_files)? })
}

/// With gzip and its usual level, as logrotate does; as many at once as there are cores.
fn pack(stage: &Stage, files: &[PathBuf], folder: &Path) -> Result<Vec<PathBuf>> {
    let mut packed = Vec::new();
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    for files in files.chunks(at_once) {
        let mut children = Vec::new();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let path = folder.join(format!("{name}.gz"));
            let output = fs::File::create(&path)?;
            let child = Command::new("gzip").arg("-c").arg(file).stdout(output).spawn();
            children.push(child.context("cannot start gzip")?);
            packed.push(path);
        }
        for mut child in children {
            let status = child.wait()?;
            stage.check()?;
            ensure!(status.success(), "gzip ended with {status}");
        }
    }
    Ok(packed)
}

impl Folder {
    fn of(path: PathBuf, files: Vec<PathBuf>) -> Result<Self> {
        let lengths = files.iter().map(|file| Ok(fs::metadata(file)?.len()));
        let bytes = lengths.sum::<Result<u64>>()?;
        Ok(Self { path, files, bytes })
    }
}

fn tell_about(files: &Files, corpus: &Corpus) {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let (plain, packed) = (files.plain.bytes, files.packed.bytes);
    println!(
        "{} records of one day in {} files: {:.2} GB plain ({} bytes a record), {:.2} GB gz",
        thousands(corpus.records),
        corpus.files,
        gigabytes(plain),
        plain / corpus.records.max(1),
        gigabytes(packed),
    );
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = field(&memory, "MemAvailable:").unwrap_or_default() * 1024;
    let fits =
        if available > plain + packed { "holds all of it" } else { "does NOT hold all of it" };
    println!("page cache: warm; memory {fits} ({:.1} GB available)\n", gigabytes(available));
}

fn report(ways: &[Way], wanted: &Wanted, seq: u64) -> Result<()> {
    let median = |name: &str| {
        let way = ways.iter().find(|way| way.name == name);
        way.map_or(f64::NAN, |way| way.seconds.iter().copied().collect::<Sorted>().median())
    };
    let rows: Vec<[String; 5]> = ways
        .iter()
        .map(|way| {
            let seconds: Sorted = way.seconds.iter().copied().collect();
            [
                way.name.to_owned(),
                format!("{:.3}", seconds.median()),
                format!("{:.3}", seconds.least()),
                format!("{:.3}", seconds.greatest()),
                way.found.len().to_string(),
            ]
        })
        .collect();
    println!("who {}:{} (seconds; runs interleaved)\n", wanted.address, wanted.port);
    println!("{}", table(["", "median", "least", "most", "found"], &rows));
    let right = right(ways, seq);
    println!(
        "  answers: {}",
        if right { "all ways found the same records" } else { "NOT the same" }
    );

    let gz = median("zgrep -F, gz") / median("who, gz");
    let plain = median("grep -F, plain") / median("who, plain");
    let at = median("who --at, plain") * 1000.0;
    let faster = |ratio: f64| format!("{ratio:.2}x as fast");
    print!(
        "{}",
        verdict(if_measured(gz, |gz| gz >= 3.0), "3x faster than zgrep on gz", &faster(gz))
    );
    print!(
        "{}",
        verdict(
            if_measured(plain, |plain| plain >= 1.0),
            "no slower than grep -F on plain",
            &faster(plain)
        )
    );
    print!(
        "{}",
        verdict(
            if_measured(at, |at| at < 100.0),
            "--at under 100 ms on plain",
            &format!("{at:.1} ms")
        )
    );
    Ok(())
}

/// All found the same, among it the record that was looked for; with a time there may be fewer.
fn right(ways: &[Way], seq: u64) -> bool {
    let Some((at, rest)) = ways.split_last() else { return false };
    let same = rest
        .windows(2)
        .all(|pair| pair.iter().map(|way| &way.found).collect::<BTreeSet<_>>().len() == 1);
    let all = rest.first().map(|way| &way.found);
    same && at.found.contains(&seq) && all.is_some_and(|all| at.found.is_subset(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(found: &[u64]) -> Way {
        Way {
            name: "",
            program: PathBuf::new(),
            arguments: Vec::new(),
            seconds: Vec::new(),
            found: found.iter().copied().collect(),
        }
    }

    #[test]
    fn answers_are_compared() {
        assert!(right(&[way(&[1, 2]), way(&[1, 2]), way(&[2])], 2));
        assert!(!right(&[way(&[1, 2]), way(&[1]), way(&[1])], 1), "one missed a record");
        assert!(!right(&[way(&[1, 2]), way(&[1, 2]), way(&[3])], 3), "found only with a time");
        assert!(!right(&[way(&[1]), way(&[1]), way(&[])], 1), "not found with a time");
    }
}
