//! The package under test, the one that follows it, and how it comes into a machine.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::machine::Machine;

/// Where `cargo xtask dist` leaves what it makes.
const MADE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../debian");

/// A package's file.
pub struct Package {
    file: PathBuf,
    /// Where it is, if it was made here.
    _folder: Option<TempDir>,
}

impl Package {
    /// The newest that was made.
    pub fn built() -> Self {
        let entries = fs::read_dir(MADE).into_iter().flatten().flatten().map(|entry| entry.path());
        let packages = entries.filter(|path| path.extension().is_some_and(|end| end == "deb"));
        let made = |path: &PathBuf| fs::metadata(path).and_then(|file| file.modified()).ok();
        let file = packages.max_by_key(made);
        let file =
            file.expect("there is a package: `cargo xtask dist --deb --profile dev` makes it");
        Self { file, _folder: None }
    }

    /// The same content under a higher version.
    pub fn newer(&self) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let content = folder.path().join("content");
        run(Command::new("dpkg-deb").arg("--raw-extract").arg(&self.file).arg(&content));
        let control = content.join("DEBIAN/control");
        let text = fs::read_to_string(&control).expect("every package has one");
        let newer = |line: &str| match line.strip_prefix("Version: ") {
            Some(version) => format!("Version: {version}.1\n"),
            None => format!("{line}\n"),
        };
        fs::write(&control, text.lines().map(newer).collect::<String>()).expect("written");
        let file = folder.path().join("anetcon-newer.deb");
        run(Command::new("dpkg-deb")
            .args(["--build", "--root-owner-group", "-Znone"])
            .arg(content)
            .arg(&file));
        Self { file, _folder: Some(folder) }
    }

    pub fn path(&self) -> &Path {
        &self.file
    }

    pub fn name(&self) -> &str {
        self.file.file_name().and_then(|name| name.to_str()).expect("a name")
    }
}

/// As an operator does it. What it needs is there already: nothing is fetched.
pub fn install(machine: &Machine, name: &str) {
    let file = format!("/root/{name}");
    machine.run(&[
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "install",
        "--yes",
        "-o",
        "Dpkg::Options::=--force-confold",
        &file,
    ]);
}

/// A namespace called as OpenStack calls routers. Each has a name of its own: rsyslog and journald find the lines of earlier tests in
/// the kernel's one log.
pub fn add_router(machine: &Machine) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number =
        u64::from(COUNTER.fetch_add(1, Ordering::Relaxed)) << 32 | u64::from(std::process::id());
    let name = format!("qrouter-a4fadad3-e529-4329-a086-{number:012x}");
    machine.add_netns(&name);
    name
}

fn run(command: &mut Command) {
    let output = command.output().expect("dpkg is there");
    assert!(output.status.success(), "{command:?}: {output:?}");
}
