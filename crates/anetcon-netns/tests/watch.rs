//! The watcher against iproute2 and against namespaces in folders of the test's own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test ends at what it does not expect, and starts what it compares with"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anetcon_core::netns::NetnsName;
use anetcon_netns::{Error, Event, NetnsRef, Opener, Watcher};
use anetcon_testkit::netns::{DIRECTORY, Netns, prepare_directory, unique, wait_until};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Ends a broken test.
const DEADLINE: Duration = Duration::from_secs(20);

/// A watcher that sees only the names of one test: others run beside it.
struct Mine {
    watcher: Watcher,
    tag: String,
}

impl Mine {
    fn start(directories: &[PathBuf], tag: &str) -> Self {
        Self { watcher: Watcher::start(directories).unwrap(), tag: tag.to_owned() }
    }

    async fn try_next(&mut self) -> Result<Event, Error> {
        loop {
            let next = tokio::time::timeout(DEADLINE, self.watcher.next());
            let event = next.await.unwrap_or_else(|_| panic!("no event for {}", self.tag));
            match &event {
                Ok(Event::Appeared { name, .. } | Event::Vanished { name })
                    if !name.as_str().starts_with(&self.tag) => {}
                // A plain file somebody else left in the shared folder.
                Err(Error::NotReady { path }) if !path.to_string_lossy().contains(&self.tag) => {}
                _ => return event,
            }
        }
    }

    async fn next(&mut self) -> Event {
        self.try_next().await.unwrap()
    }

    /// No event is left that concerns the test, after the one that ends the namespace `last`.
    async fn expect_end(&mut self, last: Netns) {
        let name = named(last.name());
        drop(last);
        assert_eq!(self.next().await, Event::Vanished { name });
    }
}

fn named(name: &str) -> NetnsName {
    NetnsName::named(name).unwrap()
}

fn appeared(directory: &Path, name: &str) -> Event {
    Event::Appeared { name: named(name), path: directory.join(name) }
}

fn vanished(name: &str) -> Event {
    Event::Vanished { name: named(name) }
}

/// Removes what a failed test left behind.
struct Cleanup(Vec<String>);

impl Drop for Cleanup {
    fn drop(&mut self) {
        for name in &self.0 {
            let path = Path::new(DIRECTORY).join(name);
            let _ = umount2(&path, MntFlags::MNT_DETACH);
            let _ = fs::remove_file(path);
        }
    }
}

fn ip(arguments: &[&str]) {
    assert!(Command::new("ip").args(arguments).status().unwrap().success(), "ip {arguments:?}");
}

fn ip_batch(lines: &str) {
    use std::io::Write;
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn own_netns() -> PathBuf {
    fs::read_link("/proc/thread-self/ns/net").unwrap()
}

#[tokio::test]
async fn each_namespace_can_be_entered_when_it_appears() {
    prepare_directory();
    let tag = unique("race");
    let names: Vec<_> = (0..100).map(|count| format!("{tag}-{count}")).collect();
    let _cleanup = Cleanup(names.clone());
    let opener = Opener::start().unwrap();
    let mut mine = Mine::start(&[DIRECTORY.into()], &tag);
    let maker = std::thread::spawn({
        let names = names.clone();
        move || names.iter().for_each(|name| ip(&["netns", "add", name]))
    });
    let mut seen = BTreeSet::new();
    for _ in &names {
        let Event::Appeared { name, path } = mine.next().await else { panic!("not made") };
        let inside = opener.within_async(&NetnsRef::Path(path), own_netns).await.unwrap();
        assert_ne!(inside, own_netns());
        seen.insert(name.to_string());
    }
    maker.join().unwrap();
    assert_eq!(seen, names.into_iter().collect());
}

#[tokio::test]
async fn a_name_made_again_at_once_vanishes_and_appears() {
    let directory = Path::new(DIRECTORY);
    let name = unique("again");
    let mut netns = Netns::named(&name);
    let mut mine = Mine::start(&[DIRECTORY.into()], &name);
    assert_eq!(mine.next().await, appeared(directory, &name));
    for _ in 0..50 {
        // Both before the watcher gets to run: this runtime has one thread.
        drop(netns);
        netns = Netns::named(&name);
        assert_eq!(mine.next().await, vanished(&name));
        assert_eq!(mine.next().await, appeared(directory, &name));
    }
    mine.expect_end(netns).await;
}

#[tokio::test]
async fn what_came_and_went_unseen_is_told_as_it_is_now() {
    prepare_directory();
    let directory = Path::new(DIRECTORY);
    let tag = unique("unseen");
    let (brief, twice) = (format!("{tag}-brief"), format!("{tag}-twice"));
    let mut mine = Mine::start(&[DIRECTORY.into()], &tag);
    // All of it before the watcher gets to run: this runtime has one thread.
    drop(Netns::named(&brief));
    drop(Netns::named(&twice));
    let _netns = Netns::named(&twice);
    assert_eq!(mine.next().await, appeared(directory, &twice));
    let after = Netns::named(&format!("{tag}-after"));
    assert_eq!(mine.next().await, appeared(directory, after.name()));
    mine.expect_end(after).await;
}

#[tokio::test]
async fn two_hundred_at_once() {
    prepare_directory();
    let tag = unique("many");
    let names: BTreeSet<_> = (0..200).map(|count| format!("{tag}-{count}")).collect();
    let _cleanup = Cleanup(names.iter().cloned().collect());
    let batch = |verb: &str| {
        let lines: Vec<_> = names.iter().map(|name| format!("netns {verb} {name}\n")).collect();
        lines.concat()
    };
    let mut mine = Mine::start(&[DIRECTORY.into()], &tag);
    ip_batch(&batch("add"));
    let mut come = BTreeSet::new();
    for _ in &names {
        let Event::Appeared { name, .. } = mine.next().await else { panic!("not made") };
        come.insert(name.to_string());
    }
    ip_batch(&batch("del"));
    let mut gone = BTreeSet::new();
    for _ in &names {
        let Event::Vanished { name } = mine.next().await else { panic!("not deleted") };
        gone.insert(name.to_string());
    }
    assert_eq!((&come, &gone), (&names, &names));
}

#[tokio::test]
async fn a_folder_may_come_later_and_come_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep/netns");
    let name = unique("later");
    let mut mine = Mine::start(std::slice::from_ref(&folder), &name);
    for _ in 0..3 {
        fs::create_dir_all(&folder).unwrap();
        let netns = Netns::in_directory(&folder, &name);
        assert_eq!(mine.next().await, appeared(&folder, &name));
        drop(netns);
        fs::remove_dir_all(parent.path().join("deep")).unwrap();
        assert_eq!(mine.next().await, vanished(&name));
    }
}

#[tokio::test]
async fn a_folder_somebody_sits_in_is_let_go_when_deleted() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("netns");
    fs::create_dir(&folder).unwrap();
    let name = unique("sit");
    let mut mine = Mine::start(std::slice::from_ref(&folder), &name);
    // IN_DELETE_SELF does not come while the folder is open.
    let _sitting = fs::File::open(&folder).unwrap();
    drop(Netns::in_directory(&folder, &name));
    fs::remove_dir(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    let _netns = Netns::in_directory(&folder, &name);
    assert_eq!(mine.next().await, appeared(&folder, &name));
}

#[tokio::test]
async fn a_folder_mounted_over_hides_what_was_in_it() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, other) = (parent.path().join("netns"), parent.path().join("other"));
    [&folder, &other].iter().for_each(|path| fs::create_dir(path).unwrap());
    let name = unique("over");
    let below = Netns::in_directory(&folder, &format!("{name}-below"));
    let above = Netns::in_directory(&other, &format!("{name}-above"));
    let mut mine = Mine::start(std::slice::from_ref(&folder), &name);
    assert_eq!(mine.next().await, appeared(&folder, below.name()));
    let none = None::<&str>;
    mount(Some(&other), &folder, none, MsFlags::MS_BIND | MsFlags::MS_REC, none).unwrap();
    let over = [mine.next().await, mine.next().await];
    umount2(&folder, MntFlags::MNT_DETACH).unwrap();
    assert_eq!(over, [vanished(below.name()), appeared(&folder, above.name())]);
    assert_eq!(mine.next().await, vanished(above.name()));
    assert_eq!(mine.next().await, appeared(&folder, below.name()));
}

#[tokio::test]
async fn of_two_folders_the_first_counts() {
    let parent = tempfile::tempdir().unwrap();
    let folders = ["one", "two"].map(|name| parent.path().join(name));
    folders.iter().for_each(|path| fs::create_dir(path).unwrap());
    let name = unique("twice");
    let second = Netns::in_directory(&folders[1], &name);
    let mut mine = Mine::start(&folders, &name);
    assert_eq!(mine.next().await, appeared(&folders[1], &name));
    let first = Netns::in_directory(&folders[0], &name);
    assert_eq!(mine.next().await, vanished(&name));
    assert_eq!(mine.next().await, appeared(&folders[0], &name));
    drop(first);
    assert_eq!(mine.next().await, vanished(&name));
    assert_eq!(mine.next().await, appeared(&folders[1], &name));
    mine.expect_end(second).await;
}

#[tokio::test]
async fn a_file_that_never_becomes_a_namespace_is_told_once_and_may_still_become_one() {
    let directory = tempfile::tempdir().unwrap();
    let name = unique("plain");
    let path = directory.path().join(&name);
    fs::write(&path, "").unwrap();
    let mut mine = Mine::start(&[directory.path().to_owned()], &name);
    let told = mine.try_next().await;
    assert!(matches!(told, Err(Error::NotReady { .. })), "{told:?}");
    let netns = Netns::new("plain-source");
    let none = None::<&str>;
    mount(Some(netns.path()), &path, none, MsFlags::MS_BIND, none).unwrap();
    let event = mine.next().await;
    umount2(&path, MntFlags::MNT_DETACH).unwrap();
    assert_eq!(event, appeared(directory.path(), &name));
}

#[tokio::test]
async fn a_vanished_namespace_is_not_kept_alive() {
    let netns = Netns::new("freed");
    let witness = netns.witness();
    let mut mine = Mine::start(&[DIRECTORY.into()], netns.name());
    assert!(matches!(mine.next().await, Event::Appeared { .. }));
    mine.expect_end(netns).await;
    wait_until("the namespace to be freed", DEADLINE, || witness.saw_it_freed());
}

#[tokio::test]
async fn events_that_the_kernel_dropped_are_made_up_for() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let tag = unique("lost");
    let names = ["goes", "stays", "comes"].map(|name| format!("{tag}-{name}"));
    let goes = Netns::in_directory(folder, &names[0]);
    let _stays = Netns::in_directory(folder, &names[1]);
    let mut mine = Mine::start(&[folder.to_owned()], &tag);
    let present = [mine.next().await, mine.next().await];
    assert_eq!(present, [appeared(folder, &names[0]), appeared(folder, &names[1])]);

    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    for _ in 0..limit.trim().parse::<u32>().unwrap() {
        fs::write(folder.join("noise"), "").unwrap();
        fs::remove_file(folder.join("noise")).unwrap();
    }
    drop(goes);
    let _comes = Netns::in_directory(folder, &names[2]);
    assert_eq!(mine.next().await, Event::Lost);
    assert_eq!(mine.next().await, vanished(&names[0]));
    assert_eq!(mine.next().await, appeared(folder, &names[2]));
}
