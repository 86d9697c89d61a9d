//! The setting, played with a file of the test's own. The real one is in machine_wide.rs.
#![allow(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anetcon_netns::sysctl::{NfLogAllNetns, Released, SettingError};
use anetcon_netns::{NetnsRef, Opener};
use anetcon_testkit::netns::Netns;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

fn setting(text: &str) -> (NfLogAllNetns, PathBuf, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("setting");
    fs::write(&path, text).unwrap();
    (NfLogAllNetns::at(&path), path, directory)
}

#[test]
fn it_is_read_as_the_kernel_shows_it() {
    for (text, on) in [("0\n", false), ("1\n", true), ("2\n", true)] {
        assert_eq!(setting(text).0.read().unwrap(), on, "{text:?}");
    }
    let unexpected = setting("yes\n").0.read();
    assert!(matches!(unexpected, Err(SettingError::Unexpected { .. })), "{unexpected:?}");
}

#[test]
fn the_last_agent_restores_what_was_before_the_first() {
    let (setting, _, _directory) = setting("0\n");
    let first = setting.acquire().unwrap();
    assert!(setting.read().unwrap());
    let second = setting.acquire().unwrap();
    // The second one found it on, yet knows from the first that it was off.
    assert!(!second.was_on());
    assert_eq!(first.release().unwrap(), Released::StillNeeded);
    assert!(setting.read().unwrap());
    assert_eq!(second.release().unwrap(), Released::Restored);
    assert!(!setting.read().unwrap());
}

#[test]
fn what_was_on_stays_on() {
    let (setting, _, _directory) = setting("1\n");
    let (first, second) = (setting.acquire().unwrap(), setting.acquire().unwrap());
    assert_eq!(second.release().unwrap(), Released::WasOn);
    assert_eq!(first.release().unwrap(), Released::WasOn);
    assert!(setting.read().unwrap());
}

#[test]
fn somebody_elses_change_is_not_undone() {
    let (setting, _, _directory) = setting("0\n");
    let hold = setting.acquire().unwrap();
    setting.set(false).unwrap();
    assert_eq!(hold.release().unwrap(), Released::IsOff);
}

#[test]
fn a_missing_setting_and_a_read_only_one_are_told_apart() {
    let (setting, path, directory) = setting("0\n");
    let missing = NfLogAllNetns::at(directory.path().join("missing"));
    assert!(matches!(missing.acquire(), Err(SettingError::Missing { .. })));

    let none = None::<&str>;
    mount(Some(&path), &path, none, MsFlags::MS_BIND, none).unwrap();
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    let read_only = mount(none, &path, none, flags, none).map(|()| setting.acquire());
    umount2(&path, MntFlags::MNT_DETACH).unwrap();
    assert!(matches!(read_only.unwrap(), Err(SettingError::ReadOnly { .. })));
}

#[test]
fn in_another_namespace_it_is_missing() {
    let (netns, opener) = (Netns::new("sysctl"), Opener::start().unwrap());
    let netns = NetnsRef::Path(netns.path().to_owned());
    let found = opener.within(&netns, || NfLogAllNetns::system().read()).unwrap();
    assert!(matches!(found, Err(SettingError::Missing { .. })), "{found:?}");
}

#[tokio::test]
async fn each_change_is_told_once() {
    let (setting, path, _directory) = setting("1\n");
    let mut changes = setting.changes();
    for (value, told) in [("0", false), ("1", true)] {
        // Not one write but two: the file is emptied first.
        fs::write(&path, value).unwrap();
        assert_eq!(changes.changed().await.unwrap(), told);
    }
    let wait = tokio::time::timeout(Duration::from_millis(50), changes.changed());
    fs::write(&path, "1").unwrap();
    assert!(wait.await.is_err(), "told a change where there was none");
}

#[tokio::test]
async fn a_change_that_inotify_misses_is_told_too() {
    let (setting, path, _directory) = setting("1\n");
    let mut changes = setting.changes();
    // A file put in its place: the watched one is never written.
    let other = path.with_extension("other");
    fs::write(&other, "0").unwrap();
    fs::rename(&other, &path).unwrap();
    let changed = tokio::time::timeout(Duration::from_secs(20), changes.changed()).await;
    assert!(!changed.expect("told in time").unwrap());
}
