//! `cargo xtask dist`: the .deb and the .rpm, with everything in them made from its source.

mod notices;
mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::process::{self, Elevation};
use crate::setup;

/// The programs that make the packages, and the versions that were tried.
const DEB: (&str, &str) = ("cargo-deb", "3.8.0");
const RPM: (&str, &str) = ("cargo-generate-rpm", "0.21.1");

/// Shells with a completion script, and how each wants the file called.
const SHELLS: [(&str, &str); 3] =
    [("bash", "anetconctl.bash"), ("zsh", "_anetconctl"), ("fish", "anetconctl.fish")];

/// Arguments of `cargo xtask dist`.
#[derive(Args)]
pub struct Dist {
    /// Only the .deb.
    #[arg(long)]
    deb: bool,
    /// Binaries of this profile of cargo: `dev` is built faster, for tests.
    #[arg(long, default_value = "release")]
    profile: String,
}

impl Dist {
    /// Builds, and prints where the packages are.
    pub fn run(self) -> Result<()> {
        setup::install(setup::BUILD, Elevation::detect())?;
        for package in make(self.deb, &self.profile)? {
            println!("{}", package.display());
        }
        Ok(())
    }
}

/// Makes the packages, of programs built with this profile; the files.
///
/// # Errors
/// When something is missing, or cannot be built or packed.
pub fn make(only_deb: bool, profile: &str) -> Result<Vec<PathBuf>> {
    let target = process::target_directory()?;
    build(profile)?;
    let built = target.join(if profile == "dev" { "debug" } else { profile });
    generate(&built, &generated())?;
    let mut packages = vec![deb(&target)?];
    if !only_deb {
        packages.push(rpm(&target)?);
    }
    Ok(packages)
}

/// What is in the packages and not in the repository. The manifest of the packages names this folder, wherever cargo builds.
pub fn generated() -> PathBuf {
    process::workspace().join("target/dist")
}

fn build(profile: &str) -> Result<()> {
    let mut cargo = process::cargo();
    process::run(cargo.args([
        "build",
        "--locked",
        "--profile",
        profile,
        "--package=anetcond",
        "--package=anetconctl",
    ]))
}

/// Writes the programs, and what is made from them: pages, completions, licences, the changelog.
fn generate(built: &Path, to: &Path) -> Result<()> {
    // What an older build has left must not get into the package.
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot empty {}", to.display()))?;
    }
    let (man, completions) = (to.join("man"), to.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    let programs = to.join("bin");
    fs::create_dir_all(&programs)?;
    for program in ["anetcond", "anetconctl"] {
        let mut strip = Command::new("strip");
        process::run(strip.arg("-o").arg(programs.join(program)).arg(built.join(program)))?;
    }
    let tool = built.join("anetconctl");
    process::run(Command::new(&tool).args(["manual", "--directory"]).arg(&man))?;
    fs::write(
        man.join("anetcond.8"),
        output(Command::new(built.join("anetcond")).arg("--manual"))?,
    )?;
    let configuration = fs::read_to_string(process::workspace().join("conf/anetcon.toml"))?;
    let (date, version) = (today()?, env!("CARGO_PKG_VERSION"));
    fs::write(man.join("anetcon.toml.5"), page::anetcon_toml(&configuration, &date, version))?;
    for (shell, file) in SHELLS {
        fs::write(
            completions.join(file),
            output(Command::new(&tool).args(["completion", shell]))?,
        )?;
    }
    fs::write(to.join("third-party.txt"), notices::notices()?)?;
    fs::write(to.join("changelog"), changelog(version)?)?;
    Ok(())
}

/// One entry, as Debian wants it (deb-changelog(5)); what changed stands in CHANGELOG.md, which is in the package too.
fn changelog(version: &str) -> Result<String> {
    let date = output(Command::new("date").args(["--rfc-email", "--utc"]))?;
    let author = "anetcon developers <anetcon@packages.debian.org>";
    Ok(format!(
        "anetcon ({version}-1) unstable; urgency=medium\n\n  * What changed is in CHANGELOG.md beside this file.\n\n -- {author}  {}\n",
        date.trim()
    ))
}

fn today() -> Result<String> {
    Ok(output(Command::new("date").args(["--utc", "+%F"]))?.trim().to_owned())
}

fn deb(target: &Path) -> Result<PathBuf> {
    let tool = installed(target, DEB, &["--no-default-features"])?;
    let mut command = Command::new(tool);
    command.current_dir(process::workspace());
    command.args(["deb", "--package=anetcond", "--no-build", "--no-strip", "--quiet"]);
    made(&output(&mut command)?)
}

fn rpm(target: &Path) -> Result<PathBuf> {
    let tool = installed(target, RPM, &[])?;
    let folder = target.join("generate-rpm");
    fs::create_dir_all(&folder)?;
    let mut command = Command::new(tool);
    command.current_dir(process::workspace());
    command.args(["--package=crates/anetcond", "--auto-req=disabled", "--output"]);
    let file = folder.join(format!(
        "anetcon-{}-1.{}.rpm",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    ));
    process::run(command.arg(&file))?;
    Ok(file)
}

/// The packager prints where the package is.
fn made(printed: &str) -> Result<PathBuf> {
    let path = printed.lines().last().map(PathBuf::from).filter(|path| path.exists());
    path.with_context(|| format!("no package was made: {printed}"))
}

/// A packager, in the target folder so that nothing of the user's is touched. It is built without optimisation: it runs once.
fn installed(target: &Path, (name, version): (&str, &str), more: &[&str]) -> Result<PathBuf> {
    let root = target.join("tools");
    let program = root.join("bin").join(name);
    if !program.exists() {
        let mut cargo = process::cargo();
        cargo.args(["install", "--locked", "--debug", "--version", version, "--root"]).arg(&root);
        process::run(cargo.args(more).arg(name))?;
    }
    Ok(program)
}

fn output(command: &mut Command) -> Result<String> {
    let line = process::shown(command);
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start `{line}`"))?;
    ensure!(output.status.success(), "`{line}` failed ({})", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` did not print text"))
}
