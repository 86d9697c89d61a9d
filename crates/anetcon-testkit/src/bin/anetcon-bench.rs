//! The benchmarks behind `cargo xtask bench`: what needs root, as a binary of its own.
//!
//! xtask gives every argument: `records RUNS CONNECTIONS all|repairs`, or `who RECORDS FILES RUNS FOLDER`. Agent and CLI are found beside it.

#![forbid(unsafe_code)]

use std::env;
use std::process::ExitCode;

use anetcon_testkit::bench::{self, Benchmark};
use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nanetcon-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let own = env::current_exe().context("cannot tell where this binary is")?;
    let binaries = own.parent().context("this binary has no folder")?;
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let benchmark = match words.as_slice() {
        ["records", runs, connections, part @ ("all" | "repairs")] => Benchmark::Records {
            runs: runs.parse()?,
            connections: connections.parse()?,
            only_repairs: *part == "repairs",
        },
        ["who", records, files, runs, folder] => Benchmark::Who {
            records: records.parse()?,
            files: files.parse()?,
            runs: runs.parse()?,
            folder: folder.into(),
        },
        _ => bail!("run it by `cargo xtask bench`"),
    };
    bench::run(&benchmark, binaries)
}
