//! The benchmarks behind `cargo xtask bench`: what records cost, and how fast `who` answers.
//!
//! Everything is measured against something else in the same run, because machines differ. Tables go to stdout; a target
//! that is missed is printed, it is no failure. All traffic stays between namespaces made here.

mod corpus;
mod flood;
mod packet;
mod records;
mod repair;
mod stage;
mod statistics;
mod table;
mod ulogd;
mod who;
mod wiper;

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail, ensure};
use nix::sys::{prctl, signal::Signal};
use nix::unistd::geteuid;

use self::stage::Stage;

/// What is measured, and how thoroughly.
#[derive(Debug, Clone)]
pub enum Benchmark {
    /// Capture: rate, loss, CPU against ulogd2, repairs under load, a stalled reader.
    Records {
        /// Runs of each kind.
        runs: u32,
        /// Connections of one run at most.
        connections: u64,
        /// Only how fast a wiped table is back.
        only_repairs: bool,
    },
    /// `anetconctl who` against zgrep and grep.
    Who {
        /// Records in the files.
        records: u64,
        /// How many files they are spread over.
        files: u32,
        /// Runs of each kind.
        runs: u32,
        /// Where the files are made, in a folder that goes afterwards.
        folder: PathBuf,
    },
}

/// Runs a benchmark with `anetcond` and `anetconctl` from the folder `binaries`; needs root.
///
/// # Errors
/// When it could not be run to its end.
pub fn run(benchmark: &Benchmark, binaries: &Path) -> Result<()> {
    ensure!(geteuid().is_root(), "the benchmarks make network namespaces: run them as root");
    // Whoever started us may be killed alone; that must not leave a router behind.
    prctl::set_pdeathsig(Some(Signal::SIGTERM))?;
    let stage = Stage::open()?;
    // The parts of the testkit end a failed test by a panic; here it becomes an error with its words.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| match benchmark {
        Benchmark::Records { runs, connections, only_repairs } => {
            let plan = records::Plan {
                runs: *runs,
                connections: *connections,
                only_repairs: *only_repairs,
            };
            records::run(&stage, binaries, plan)
        }
        Benchmark::Who { records, files, runs, folder } => {
            let plan = who::Plan { records: *records, files: *files, runs: *runs };
            who::run(&stage, binaries, &plan, folder)
        }
    }));
    panic::set_hook(hook);
    if let Err(interrupted) = stage.check() {
        bail!(interrupted);
    }
    outcome.unwrap_or_else(|panic| Err(anyhow!(words_of(&*panic))))
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a step failed without a word").to_owned()
}
