//! `cargo xtask test`: set-up, then every check of this repository, each announced and timed.
//!
//! Everything is built as the calling user; only the built test executables run as root. A failing
//! check does not stop the ones after it, and the last line says `N passed, N failed`.

mod executables;
mod leftovers;
mod run;
mod tally;

use std::{
    env, fs,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    demo, dist,
    process::{self, Elevation},
    setup, tidy,
};
pub use run::RunTests;
use tally::Tally;

/// Seconds after which a test executable is killed, unless somebody asks for more.
const LIMIT: u64 = 180;

/// Arguments of `cargo xtask test`.
#[derive(Args)]
pub struct Test {
    /// Run only this check, or only the test executables whose name contains this.
    ///
    /// Checks: fmt, tidy, clippy, docs, packages, tests, doctests, demo.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// How long one test executable may take before it is killed.
    #[arg(long, value_name = "SECONDS", default_value_t = LIMIT)]
    limit: u64,
}

/// What one check may use.
struct Request {
    elevation: Elevation,
    /// Our own program. It is asked for before anything is built: cargo may replace the file.
    own: PathBuf,
    /// Part of a name; empty: every executable.
    executables: String,
    limit: Duration,
}

/// A check by name; it gives the tests it ran, or why it failed.
struct Check {
    name: &'static str,
    what: &'static str,
    run: fn(&Request) -> Result<Tally>,
}

const CHECKS: &[Check] = &[
    Check { name: "fmt", what: "the source is formatted", run: |_| cargo(&["fmt", "--check"]) },
    Check {
        name: "tidy",
        what: "the house rules hold",
        run: |_| tidy::check().map(|()| Tally::default()),
    },
    Check { name: "clippy", what: "no lint complains", run: |_| cargo(CLIPPY) },
    Check { name: "docs", what: "the documentation builds without a warning", run: |_| docs() },
    Check {
        name: "packages",
        what: "the package is made, and nothing is wrong with it",
        run: packages,
    },
    Check { name: "tests", what: "every test passes", run: tests },
    Check { name: "doctests", what: "the examples in the documentation work", run: |_| doctests() },
    Check { name: "demo", what: "README's demo works", run: show_demo },
];

/// The test executables that install the package.
const PACKAGE_TESTS: [&str; 4] = [
    "anetcond::machine_wide_package",
    "anetcond::machine_wide_configuration",
    "anetcond::machine_wide_fleet",
    "anetcond::machine_wide_migration",
];

const CLIPPY: &[&str] =
    &["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny=warnings"];

/// Arguments of `cargo xtask e2e`.
#[derive(Args)]
pub struct EndToEnd {}

impl EndToEnd {
    /// Every test that boots a system or changes what a whole machine shares, and first the package that they install.
    pub fn run(self) -> Result<()> {
        Test { only: Some("machine_wide".into()), limit: LIMIT }.run()
    }
}

impl Test {
    /// Runs what was asked for.
    pub fn run(self) -> Result<()> {
        let elevation = Elevation::detect();
        setup::install(setup::BUILD, elevation)?;
        setup::install(setup::TEST, elevation)?;
        setup::python::install()?;
        setup::systems::make(elevation)?;
        let chosen = |check: &&Check| match self.only.as_deref() {
            None => true,
            Some(only) if is_check(only) => check.name == only,
            Some(only) => match check.name {
                "packages" => PACKAGE_TESTS.iter().any(|test| test.contains(only)),
                name => name == "tests",
            },
        };
        let executables = self.only.clone().filter(|only| !is_check(only)).unwrap_or_default();
        let own = env::current_exe().context("cannot tell where xtask is")?;
        let request =
            Request { elevation, own, executables, limit: Duration::from_secs(self.limit) };
        let outcomes: Vec<Outcome> =
            CHECKS.iter().filter(chosen).map(|check| perform(check, &request)).collect();
        summarise(&outcomes)
    }
}

fn is_check(name: &str) -> bool {
    CHECKS.iter().any(|check| check.name == name)
}

struct Outcome {
    name: &'static str,
    took: Duration,
    result: Result<Tally>,
}

fn perform(check: &Check, request: &Request) -> Outcome {
    println!("check {}: {}", check.name, check.what);
    let begin = Instant::now();
    let result = (check.run)(request);
    let took = begin.elapsed();
    match &result {
        Ok(tally) if tally.clean() => {
            println!("check {}: ok after {:.1} s", check.name, took.as_secs_f64());
        }
        Ok(_) => println!("check {}: FAILED after {:.1} s", check.name, took.as_secs_f64()),
        Err(error) => {
            println!("check {}: FAILED after {:.1} s: {error:#}", check.name, took.as_secs_f64());
        }
    }
    Outcome { name: check.name, took, result }
}

/// Prints what happened; a check that fails without a test of its own counts as one failure.
fn summarise(outcomes: &[Outcome]) -> Result<()> {
    println!("\nsummary:");
    let mut total = Tally::default();
    for outcome in outcomes {
        let took = outcome.took.as_secs_f64();
        let verdict = match &outcome.result {
            Ok(tally) => {
                let verdict = if tally.clean() { "ok" } else { "FAILED" };
                total.add(tally);
                verdict
            }
            Err(_) => {
                total.failed += 1;
                "FAILED"
            }
        };
        println!("  {:<9} {verdict:<7} {took:>6.1} s", outcome.name);
    }
    for problem in &total.problems {
        println!("  problem: {problem}");
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.clean() { Ok(()) } else { bail!("not every check passed") }
}

fn cargo(arguments: &[&str]) -> Result<Tally> {
    process::run(process::cargo().args(arguments)).map(|()| Tally::default())
}

fn docs() -> Result<Tally> {
    let mut command = process::cargo();
    command.args(["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"]);
    process::run(command.env("RUSTDOCFLAGS", "--deny=warnings")).map(|()| Tally::default())
}

fn doctests() -> Result<Tally> {
    let mut command = process::cargo();
    command.args(["test", "--quiet", "--workspace", "--doc"]);
    run::counted(&mut command)
}

/// Builds as we are, then runs as root.
fn tests(request: &Request) -> Result<Tally> {
    let executables = executables::build(&request.executables)?;
    // Tests of one program start the others too, and cargo builds only the one under test for them.
    if executables.iter().any(|executable| executable.package != "xtask") {
        cargo(&["build", "--quiet", "--workspace", "--exclude=xtask", "--bins"])?;
    }
    let plan = run::Plan { executables, limit: request.limit };
    if request.elevation == Elevation::Root {
        return Ok(run::all(&plan));
    }
    let mut command = request
        .elevation
        .command(&request.own)
        .context("the tests make network namespaces: run them as root or install sudo")?;
    command.arg("run-tests");
    println!("the tests make network namespaces and need root: {}", process::shown(&command));
    run::elevated(&plan, &mut command)
}

/// The .deb, from the programs that the tests use, as its users' own tools see it.
fn packages(_: &Request) -> Result<Tally> {
    let made = dist::make(true, "dev")?;
    process::run(Command::new("lintian").args(["--fail-on", "error", "--allow-root"]).args(&made))?;
    let pages = fs::read_dir(dist::generated().join("man"))?;
    let pages: Vec<PathBuf> = pages.flatten().map(|entry| entry.path()).collect();
    process::run(Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).args(pages))?;
    Ok(Tally::default())
}

fn show_demo(request: &Request) -> Result<Tally> {
    demo::show(request.elevation, false).map(|()| Tally::default())
}
