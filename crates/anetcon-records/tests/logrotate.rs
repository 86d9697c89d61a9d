//! The shipped logrotate/anetcon, forced under load: no line is lost, whoever writes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]
#![allow(clippy::disallowed_methods, reason = "tests start the programs they compare with")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anetcon_core::prefix::Kind;
use support::rsyslogd::Rsyslogd;
use support::*;

const ROTATIONS: usize = 4;

#[test]
fn logrotate_accepts_the_shipped_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = logrotate(folder.path(), "-d", &shipped("logrotate/anetcon"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("error:"), "{said}");
    let files = Kind::ALL.map(|kind| format!("anetcon.{}.log", kind.as_str()));
    for file in files.iter().map(String::as_str).chain(["anetcon.sessions.ndjson"]) {
        assert!(said.contains(&format!("considering log /var/log/anetcon/{file}")), "{said}");
    }
}

#[test]
fn a_rotation_under_load_loses_no_line_of_the_agent() {
    let (talker, folder) = (Talker::new("rec-rotate"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    let (capture, _events) = start(config.clone());
    let end = talker.connect_during(|_| rotate_again_and_again(folder.path(), "true"));
    assert_eq!(capture.stop().unwrap().unwritten, 0);
    assert_rotated(&config.directory, end);
}

#[test]
fn a_rotation_under_load_loses_no_line_of_rsyslogd() {
    let (talker, folder) = (Talker::new("rec-rotate-rs"), tempfile::tempdir().unwrap());
    let rsyslogd = Rsyslogd::start(&talker, folder.path(), "module(load=\"imkmsg\")", "");
    let hup = format!("kill -HUP {}", rsyslogd.pid());
    let end = talker.connect_during(|_| rotate_again_and_again(folder.path(), &hup));
    wait_for_lines(&rsyslogd.log(), "anetcon.float", usize::from(end) - 1);
    assert_rotated(&rsyslogd.log(), end);
}

/// Rotates the files in `FOLDER/log` while lines come, and keeps each rotated file apart.
fn rotate_again_and_again(folder: &Path, postrotate: &str) {
    let log = folder.join("log");
    let config = rewritten(&log, postrotate);
    for round in 0..ROTATIONS {
        let current = log.join("anetcon.float.log");
        wait_for_lines(&log, "anetcon.float.log", 40);
        let output = logrotate(folder, "-fv", &config);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("error:"), "{said}");
        let rotated = files(&log, "anetcon.float.log-");
        assert_eq!(rotated.len(), 1, "{said}");
        // logrotate names files by the day and does nothing twice a day.
        fs::rename(&rotated[0], log.join(format!("anetcon.float-{round}"))).unwrap();
        assert_eq!(mode(&current), 0o640, "{said}");
    }
    wait_for_lines(&log, "anetcon.float.log", 1);
}

fn assert_rotated(log: &Path, end: u16) {
    let all = files(log, "anetcon.float");
    let names: Vec<_> = all.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(all.len(), ROTATIONS + 1, "a file that nothing rotates: {names:?}");
    for path in &all {
        assert!(!lines(path).is_empty(), "{path:?} is empty: it never was in use");
        assert_eq!(mode(path), 0o640, "{path:?}");
    }
    assert_once(&all, 1..end);
}

fn rewritten(log: &Path, postrotate: &str) -> String {
    let text = shipped("logrotate/anetcon");
    let (head, rest) = text.split_once("\tpostrotate\n").unwrap();
    let (_, tail) = rest.split_once("\tendscript\n").unwrap();
    let text = format!("{head}\tpostrotate\n{postrotate}\n\tendscript\n{tail}");
    text.replace("/var/log/anetcon", &log.display().to_string())
}

/// Runs logrotate with a configuration of its own; it refuses files that others may write, so it gets a copy.
fn logrotate(folder: &Path, option: &str, config: &str) -> Output {
    let path: PathBuf = folder.join("logrotate.conf");
    fs::write(&path, config).unwrap();
    let mut command = Command::new("logrotate");
    command.arg(option).arg("-s").arg(folder.join("logrotate.state")).arg(path);
    command.output().unwrap()
}
