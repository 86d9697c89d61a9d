//! This machine with changes that nobody else sees: files laid over others in a mount namespace of each command's own.
//!
//! What a machine shares with everybody, such as a sysctl, is broken and mended here without touching the real one.
#![allow(clippy::panic, reason = "a test that cannot break its machine ends here")]
#![allow(clippy::disallowed_methods, reason = "what is advised is done as it says")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::netns::{Netns, require_root};

/// The machine as one test sees it. Changes that a command makes to /etc and to files laid over others stay until it is dropped.
#[derive(Debug)]
pub struct Patched<'a> {
    folder: TempDir,
    /// Lines of shell that lay the changes over the machine, before each command.
    prelude: Vec<String>,
    /// Folders that come first in PATH.
    path: Vec<PathBuf>,
    inside: Option<&'a Netns>,
}

impl<'a> Patched<'a> {
    /// The machine as it is, but for /etc/anetcon/anetcon.toml. `programs` is the folder of `anetconctl`.
    pub fn new(programs: &Path, configuration: &str) -> Self {
        require_root();
        let folder =
            tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let mut machine = Self { folder, prelude: Vec::new(), path: Vec::new(), inside: None };
        let stubs = machine.make("stubs");
        machine.path = vec![stubs, programs.to_owned()];
        machine.overlay("/etc");
        machine.write("etc/upper/anetcon/anetcon.toml", configuration);
        machine
    }

    /// From now on commands run in this network namespace.
    pub fn inside(mut self, netns: &'a Netns) -> Self {
        self.inside = Some(netns);
        self
    }

    /// The test's own folder, for everything that a configuration names.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the configuration.
    pub fn configure(&self, configuration: &str) {
        self.write("etc/upper/anetcon/anetcon.toml", configuration);
    }

    /// Lays a file over another that exists.
    pub fn lay(&mut self, over: &str, text: &str) {
        let name = format!("laid-{}", self.prelude.len());
        let file = self.write(&name, text);
        self.before(&format!("mount --bind {} {over}", file.display()));
    }

    /// Hides programs of /usr/sbin, until they are put there. To be called once.
    pub fn hide(&mut self, programs: &[&str]) {
        let folder = self.overlay("/usr/sbin");
        for program in programs {
            // A whiteout (kernel: Documentation/filesystems/overlayfs.rst).
            let whiteout = folder.join(program);
            let made = Command::new("mknod").arg(&whiteout).args(["c", "0", "0"]).status();
            assert!(made.is_ok_and(|status| status.success()), "no {}", whiteout.display());
        }
    }

    /// A program that stands for one that cannot do its work on a test's machine.
    pub fn stub(&self, program: &str, script: &str) {
        let file = self.write(&format!("stubs/{program}"), &format!("#!/bin/sh\n{script}\n"));
        let done = Command::new("chmod").arg("755").arg(&file).status();
        assert!(done.is_ok_and(|status| status.success()), "no {}", file.display());
    }

    /// Does a line of shell before every command, in its mount namespace.
    pub fn before(&mut self, line: &str) {
        self.prelude.push(line.to_owned());
    }

    /// Runs a line of shell on the machine.
    pub fn shell(&self, line: &str) -> Output {
        let mut path: Vec<PathBuf> = self.path.clone();
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let path = std::env::join_paths(path).unwrap_or_default();
        let mut command = match self.inside {
            Some(netns) => netns.command("unshare"),
            None => Command::new("unshare"),
        };
        let script = format!("{} && {{ {line}\n}}", self.prelude.join(" && "));
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        let output = command.env("PATH", path).output();
        output.unwrap_or_else(|error| panic!("cannot run `{line}`: {error}"))
    }

    /// What `anetconctl doctor` finds in one of its checks, and that its exit status goes with what it says.
    pub fn finding(&self, check: &str) -> Value {
        self.finding_by("anetconctl doctor --json", check)
    }

    /// As [`finding`](Self::finding), with the doctor called in another way.
    pub fn finding_by(&self, doctor: &str, check: &str) -> Value {
        let output = self.shell(doctor);
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        let none = Vec::new();
        let findings = document.get("findings").and_then(Value::as_array).unwrap_or(&none);
        let is = |finding: &Value, key, value: &str| finding.get(key).is_some_and(|it| it == value);
        let wrong = findings.iter().any(|finding| is(finding, "state", "wrong"));
        assert_eq!(output.status.code(), Some(i32::from(wrong)), "{document:#}");
        let finding = findings.iter().find(|finding| is(finding, "check", check)).cloned();
        finding.unwrap_or_else(|| panic!("no {check} in {document:#}"))
    }

    /// What the doctor says of a check that must be wrong: the line that mends it.
    pub fn advice(&self, check: &str) -> String {
        let finding = self.finding(check);
        let text = |key| finding.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        assert_eq!(text("state"), "wrong", "{finding:#}");
        text("fix")
    }

    /// Nothing is wrong with a check.
    pub fn assert_ok(&self, check: &str) {
        let finding = self.finding(check);
        assert_eq!(finding.get("state"), Some(&"ok".into()), "{finding:#}");
    }

    /// Something is broken, and doing what the doctor says mends it.
    pub fn broken_and_mended(&self, check: &str) {
        let advice = self.advice(check);
        let done = self.shell(&advice);
        let mended = self.finding(check);
        assert_eq!(mended.get("state"), Some(&"ok".into()), "{advice}: {mended:#} {done:?}");
    }

    fn overlay(&mut self, over: &str) -> PathBuf {
        let name = over.trim_start_matches('/').replace('/', "-");
        let (upper, work) =
            (self.make(&format!("{name}/upper")), self.make(&format!("{name}/work")));
        let (upper_path, work_path) = (upper.display(), work.display());
        let options = format!("lowerdir={over},upperdir={upper_path},workdir={work_path}");
        self.before(&format!("mount -t overlay overlay -o {options} {over}"));
        upper
    }

    fn make(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder)
            .unwrap_or_else(|error| panic!("no {}: {error}", folder.display()));
        folder
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        let folder = file.parent().map(fs::create_dir_all);
        let written = folder.unwrap_or(Ok(())).and_then(|()| fs::write(&file, text));
        written.unwrap_or_else(|error| panic!("no {}: {error}", file.display()));
        file
    }
}
