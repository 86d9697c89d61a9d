//! Running built test executables one after the other, as root, each within a time limit.
//!
//! Every process of a run carries a mark in its environment, so that what a test leaves behind is
//! found and ended even when it has left its process group.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    executables::Executable,
    leftovers::{self, Machine},
    tally::{Reader, Tally},
};
use crate::process::{self, Interrupted};

/// How often a running test executable is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long the output may stay open after the executable has ended.
const OUTPUT_GRACE: Duration = Duration::from_secs(2);
/// Tests mostly wait for the kernel, so more of them than cores keep the cores busy.
const LEAST_THREADS: usize = 4;
/// Begins the line in which the elevated half reports to the other one.
const REPORT: &str = "xtask-report: ";

/// What shall be run; travels to the elevated half as JSON.
#[derive(Serialize, Deserialize)]
pub struct Plan {
    pub executables: Vec<Executable>,
    pub limit: Duration,
}

/// `cargo xtask run-tests`: the half of `test` that sudo runs as root. The plan comes on stdin.
#[derive(Args)]
pub struct RunTests {}

impl RunTests {
    /// Runs the plan and reports the tally in a line of its own.
    pub fn run(self) -> Result<()> {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read the plan")?;
        let plan = serde_json::from_str(&text).context("the plan is not understood")?;
        println!("{REPORT}{}", serde_json::to_string(&all(&plan))?);
        Ok(())
    }
}

/// Runs `command`, which is [`RunTests`] with root's rights, and takes its report.
///
/// # Errors
/// When it ends without a report.
pub fn elevated(plan: &Plan, command: &mut Command) -> Result<Tally> {
    let _interrupted = Interrupted::watch()?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let input = child.stdin.take().context("no way to give the plan")?;
    serde_json::to_writer(input, plan).context("cannot give the plan")?;
    let output = child.stdout.take().context("no output")?;
    let mut report = None;
    for line in BufReader::new(output).lines() {
        let line = line?;
        match line.strip_prefix(REPORT) {
            Some(json) => report = Some(serde_json::from_str(json)?),
            None => println!("{line}"),
        }
    }
    child.wait()?;
    report.context("the tests as root ended without a report")
}

/// Runs everything of the plan, then checks that nothing was left behind.
pub fn all(plan: &Plan) -> Tally {
    let mut tally = Tally::default();
    let interrupted = match Interrupted::watch() {
        Ok(interrupted) => interrupted,
        Err(error) => {
            tally.fail(format!("{error:#}"));
            return tally;
        }
    };
    let machine = Machine::look();
    let mark = leftovers::Mark::new();
    let mut ran = Vec::new();
    for executable in &plan.executables {
        if interrupted.seen() {
            tally.fail("interrupted before every test was run".to_owned());
            break;
        }
        println!("tests of {}", executable.name);
        let outcome = one(executable, plan.limit, &mark, &interrupted, &mut ran);
        tally.add(&outcome.unwrap_or_else(|error| {
            let mut failed = Tally::default();
            failed.fail(format!("{}: {error:#}", executable.name));
            failed
        }));
    }
    for problem in machine.compare(&ran) {
        tally.fail(problem);
    }
    tally
}

/// Runs one executable; `ran` takes its process id.
fn one(
    executable: &Executable,
    limit: Duration,
    mark: &leftovers::Mark,
    interrupted: &Interrupted,
    ran: &mut Vec<u32>,
) -> Result<Tally> {
    let mut command = under_cargo(executable);
    command.env(leftovers::MARK, mark.value()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {}", executable.program.display()))?;
    ran.push(child.id());
    let (reader, end) = follow(&mut child, limit, interrupted)?;
    let mut problem = match end {
        End::Exit(status) if status.success() && reader.closings > 0 => None,
        // libtest has counted what failed.
        End::Exit(_) if reader.closed.failed > 0 => None,
        End::Exit(status) => Some(format!("ended with {status} and without a result")),
        End::TooLong => {
            let running = still_running(executable, &reader.ended);
            Some(format!("killed after {} s; not finished: {running}", limit.as_secs()))
        }
        End::Interrupted => Some("interrupted".to_owned()),
    };
    let left = mark.end_processes();
    if problem.is_none() && !left.is_empty() {
        problem = Some(format!("left processes behind: {}", left.join(", ")));
    }
    let mut tally = reader.closed;
    if tally.failed > 0 {
        tally.problems.push(format!("{}: {} failed", executable.name, tally.failed));
    }
    if let Some(problem) = problem {
        tally.fail(format!("{}: {problem}", executable.name));
    }
    Ok(tally)
}

/// The command with the working directory and environment that `cargo test` would give it.
fn under_cargo(executable: &Executable) -> Command {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut command = Command::new(&executable.program);
    command
        .arg(format!("--test-threads={}", cores.max(LEAST_THREADS)))
        .current_dir(&executable.directory)
        .env("CARGO_MANIFEST_DIR", &executable.directory)
        .env("CARGO_PKG_NAME", &executable.package)
        .env("RUST_BACKTRACE", "1")
        // A snapshot that differs is a failure here, never a new file owned by root.
        .env("INSTA_UPDATE", "no")
        .env("INSTA_WORKSPACE_ROOT", process::workspace());
    command
}

/// How an executable's run came to its end.
enum End {
    Exit(ExitStatus),
    TooLong,
    Interrupted,
}

/// Passes the output on and reads it, until the process ends or may not go on.
fn follow(child: &mut Child, limit: Duration, interrupted: &Interrupted) -> Result<(Reader, End)> {
    let output = child.stdout.take().context("no output")?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let mut reader = Reader::default();
    let deadline = Instant::now() + limit;
    let end = loop {
        match lines.recv_timeout(LOOK) {
            Ok(line) => reader.line(&line),
            Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(status) = child.try_wait()? {
            break End::Exit(status);
        }
        if interrupted.seen() || Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            break if interrupted.seen() { End::Interrupted } else { End::TooLong };
        }
    };
    // A process that was left behind may hold the pipe open, so this wait has an end.
    while let Ok(line) = lines.recv_timeout(OUTPUT_GRACE) {
        reader.line(&line);
    }
    Ok((reader, end))
}

/// The tests that had not ended, for the message about a time limit.
fn still_running(executable: &Executable, ended: &[String]) -> String {
    let Ok(output) = under_cargo(executable).arg("--list").output() else {
        return "unknown".to_owned();
    };
    let list = String::from_utf8_lossy(&output.stdout);
    let open: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|name| !ended.iter().any(|one| one == name))
        .collect();
    open.join(", ")
}

/// Runs a command that prints like libtest, as we are, and counts.
///
/// # Errors
/// When it fails without a failed test.
pub fn counted(command: &mut Command) -> Result<Tally> {
    let line = process::shown(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{line}`"))?;
    let output = child.stdout.take().context("no output")?;
    let mut reader = Reader::default();
    for text in BufReader::new(output).lines() {
        let text = text?;
        println!("{text}");
        reader.line(&text);
    }
    let status = child.wait()?;
    let mut tally = reader.closed;
    if !status.success() && tally.failed == 0 {
        tally.fail(format!("`{line}` ended with {status}"));
    }
    Ok(tally)
}
