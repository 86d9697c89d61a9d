//! `cargo xtask bench`: set-up, release build as the calling user, then the bench binary as root.
//!
//! What is measured is in `anetcon_testkit::bench`: it links libnftnl, which we may not.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::{
    process::{self, Elevation, Interrupted},
    setup::{self, Package},
};

/// What the benchmarks need besides the build.
const PACKAGES: &[Package] = &[
    Package::program("nftables", "nft reads what the rules counted", "nft"),
    Package::program(
        "ulogd2",
        "what records are compared with; Debian also starts it as a service",
        "ulogd",
    ),
    Package::program("ulogd2-json", "ulogd2's JSON files", "ulogd"),
];

/// Arguments of `cargo xtask bench`.
#[derive(Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// What capture costs: rate, loss, CPU against ulogd2, a stalled reader, repairs under load.
    Records {
        /// Runs of each kind.
        #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
        runs: u32,
        /// Connections of one run at most; the kernel's table of connections is a limit, too.
        #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..))]
        connections: u64,
        /// Only how fast a wiped table is back, with and without load.
        #[arg(long)]
        only_repairs: bool,
    },
    /// How fast `anetconctl who` answers, against zgrep and grep.
    Who {
        /// Records to search; 10 million need some 12 GB of disk.
        #[arg(long, value_name = "COUNT", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
        records: u64,
        /// Files that they are spread over.
        #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
        files: u32,
        /// Runs of each kind.
        #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
        runs: u32,
        /// Where the files are made, in a folder that goes afterwards [default: the temporary folder].
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

impl Bench {
    /// Prepares, builds and measures.
    pub fn run(self) -> Result<()> {
        let elevation = Elevation::detect();
        setup::install(setup::BUILD, elevation)?;
        if matches!(self.what, What::Records { .. }) {
            setup::install(PACKAGES, elevation)?;
        }
        let mut build = process::cargo();
        // xtask is what runs now, and building it with the others' features would replace it.
        build.args(["build", "--release", "--workspace", "--exclude=xtask", "--bins"]);
        println!("building: {}", process::shown(&build));
        process::run(&mut build)?;
        let program = process::target_directory()?.join("release/anetcon-bench");
        let mut bench = elevation.command(&program).context(
            "the benchmarks make network namespaces and need root: run them as root or install sudo",
        )?;
        match self.what {
            What::Records { runs, connections, only_repairs } => {
                let part = if only_repairs { "repairs" } else { "all" };
                bench.args(["records", &runs.to_string(), &connections.to_string(), part])
            }
            What::Who { records, files, runs, folder } => bench
                .args(["who".to_owned(), records.to_string(), files.to_string(), runs.to_string()])
                .arg(folder.unwrap_or_else(std::env::temp_dir)),
        };
        if elevation == Elevation::Sudo {
            println!("the benchmarks need root: {}", process::shown(&bench));
        }
        // Ctrl-C reaches the benchmark too, which then cleans up; we wait for that.
        let _interrupted = Interrupted::watch()?;
        process::run(&mut bench)
    }
}
