//! A log file that others rename, delete and fill under us.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anetcon_core::prefix::Kind;
use anetcon_records::Event;
use anetcon_records::file::{LogFile, Wrote};
use anetcon_testkit::netns::{require_root, wait_until};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use support::*;

struct Case {
    folder: tempfile::TempDir,
    file: LogFile,
    now: Instant,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = LogFile::new(folder.path().join("log/a.log"));
        Self { folder, file, now: Instant::now() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.log().join(name)
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn append(&mut self, text: &str) -> Wrote {
        self.file.append(text.as_bytes(), self.now).unwrap()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

#[test]
fn folder_and_file_are_made_with_their_modes() {
    let mut case = Case::new();
    assert_eq!(case.append("1\n"), Wrote::First);
    assert_eq!(case.append("2\n"), Wrote::Same);
    assert_eq!(case.text("a.log"), "1\n2\n");
    assert_eq!(mode(&case.path("a.log")), 0o640);
    assert_eq!(mode(&case.log()), 0o750);
}

#[test]
fn an_existing_file_keeps_its_content_and_mode() {
    let mut case = Case::new();
    fs::create_dir(case.log()).unwrap();
    fs::write(case.path("a.log"), "0\n").unwrap();
    let before = mode(&case.path("a.log"));
    case.append("1\n");
    assert_eq!(case.text("a.log"), "0\n1\n");
    assert_eq!(mode(&case.path("a.log")), before);
}

#[test]
fn a_torn_last_line_is_sealed() {
    let mut case = Case::new();
    fs::create_dir(case.log()).unwrap();
    fs::write(case.path("a.log"), "0\nto").unwrap();
    case.append("1\n");
    case.append("2\n");
    assert_eq!(case.text("a.log"), "0\nto\n1\n2\n");
}

#[test]
fn a_file_that_took_the_name_is_used_at_once() {
    let mut case = Case::new();
    case.append("1\n");
    fs::rename(case.path("a.log"), case.path("a.log.1")).unwrap();
    fs::write(case.path("a.log"), "").unwrap();
    assert_eq!(case.append("2\n"), Wrote::Reopened);
    assert_eq!((case.text("a.log.1"), case.text("a.log")), ("1\n".into(), "2\n".into()));
}

#[test]
fn a_renamed_file_is_written_on_until_it_is_clear_that_nobody_makes_a_new_one() {
    let mut case = Case::new();
    case.append("1\n");
    fs::rename(case.path("a.log"), case.path("a.log.1")).unwrap();
    assert_eq!(case.append("2\n"), Wrote::Same);
    case.now += Duration::from_millis(1500);
    assert_eq!(case.append("3\n"), Wrote::Reopened);
    assert_eq!((case.text("a.log.1"), case.text("a.log")), ("1\n2\n".into(), "3\n".into()));
}

#[test]
fn a_deleted_file_or_folder_is_made_again_at_once() {
    let mut case = Case::new();
    case.append("1\n");
    fs::remove_file(case.path("a.log")).unwrap();
    assert_eq!(case.append("2\n"), Wrote::Reopened);
    assert_eq!(case.text("a.log"), "2\n");
    fs::remove_dir_all(case.log()).unwrap();
    assert_eq!(case.append("3\n"), Wrote::Reopened);
    assert_eq!(case.text("a.log"), "3\n");
}

#[test]
fn lines_without_a_place_are_counted_and_it_goes_on() {
    let mut case = Case::new();
    fs::write(case.log(), "a file where the folder should be").unwrap();
    let error = case.file.append(b"1\n2\n", case.now).unwrap_err();
    assert_eq!(error.unwritten, 2);
    fs::remove_file(case.log()).unwrap();
    assert_eq!(case.append("3\n"), Wrote::First);
    assert_eq!(case.text("a.log"), "3\n");
}

/// A small file system of its own.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(path: &'a Path, size: &str) -> Self {
        require_root();
        let options = format!("size={size}");
        let none = None::<&str>;
        mount(none, path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
        Self(path)
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = umount2(self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_line_cut_by_a_full_disk_is_counted_and_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let _disk = Tmpfs::mount(folder.path(), "8k");
    let path = folder.path().join("a.log");
    let mut file = LogFile::new(path.clone());
    let line = format!("{}\n", "x".repeat(99));
    let error = file.append(line.repeat(100).as_bytes(), Instant::now()).unwrap_err();
    // Pages of 4096 bytes: 81 lines and a part of the next.
    assert_eq!(error.unwritten, 19);
    assert_eq!(lines(&path).len(), 82);
    let error = file.append(line.as_bytes(), Instant::now()).unwrap_err();
    assert_eq!(error.unwritten, 1);

    fs::rename(&path, folder.path().join("moved")).unwrap();
    fs::File::options()
        .write(true)
        .open(folder.path().join("moved"))
        .unwrap()
        .set_len(4095)
        .unwrap();
    file.append(line.as_bytes(), Instant::now()).unwrap();
    let lines = lines(&folder.path().join("moved"));
    assert_eq!(lines[lines.len() - 2].len(), 95, "what was torn stays alone");
    assert_eq!(lines[lines.len() - 1].len(), 99);
}

#[test]
fn a_capture_on_a_full_disk_counts_reads_on_and_recovers() {
    let (talker, folder) = (Talker::new("rec-full"), tempfile::tempdir().unwrap());
    let mut config = talker.config(folder.path());
    config.directory = folder.path().join("disk");
    fs::create_dir(&config.directory).unwrap();
    let disk = config.directory.clone();
    let _disk = Tmpfs::mount(&disk, "4k");
    let (capture, events) = start(config.clone());
    // What others' lines overwrote meanwhile is told, too.
    let mut events = events.iter().filter(|event| !matches!(event, Event::Lost { .. }));
    fs::write(disk.join("ballast"), [0; 4096]).unwrap();
    talker.connect(1..6);
    wait_until("the lines are counted", DEADLINE, || capture.counters().unwritten == 5);
    assert!(capture.counters().error.unwrap().ends_with("No space left on device (os error 28)"));
    let begins = events.next().unwrap();
    assert!(matches!(begins, Event::Failed { .. }), "{begins:?}");

    fs::remove_file(disk.join("ballast")).unwrap();
    talker.connect(6..9);
    wait_for_lines(&disk, "anetcon.", 3);
    assert_once(&[config.path(Kind::Float)], 6..9);
    let ends = events.next().unwrap();
    assert!(matches!(ends, Event::Recovered { unwritten: 5, .. }), "{ends:?}");
    let counters = capture.stop().unwrap();
    assert_eq!((counters.float, counters.unwritten, counters.error), (3, 5, None));
}
