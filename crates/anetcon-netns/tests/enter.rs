//! The opener thread in the real kernel.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it does not expect")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anetcon_netns::{Error, NetnsRef, Opener, ready};
use anetcon_testkit::netns::{Netns, unique, wait_until};

/// Ends a broken test.
const DEADLINE: Duration = Duration::from_secs(20);

fn own_netns() -> PathBuf {
    fs::read_link("/proc/thread-self/ns/net").unwrap()
}

fn path_of(netns: &Netns) -> NetnsRef {
    NetnsRef::Path(netns.path().to_owned())
}

#[test]
fn jobs_run_inside_and_the_thread_comes_back() {
    let (netns, opener) = (Netns::new("enter"), Opener::start().unwrap());
    let inside = opener.within(&path_of(&netns), own_netns).unwrap();
    assert_eq!(inside, netns.run(own_netns));
    assert_ne!(inside, own_netns());
    // A job for the root namespace does no setns, so it shows where the thread stands.
    assert_eq!(opener.within(&NetnsRef::Root, own_netns).unwrap(), own_netns());
}

#[tokio::test]
async fn async_jobs_take_the_same_way() {
    let (netns, opener) = (Netns::new("enter-async"), Opener::start().unwrap());
    let thread = || std::thread::current().name().map(str::to_owned);
    let inside = opener.within_async(&path_of(&netns), move || (own_netns(), thread())).await;
    assert_eq!(inside.unwrap(), (netns.run(own_netns), Some("anetcon-opener".to_owned())));
    assert_eq!(opener.within_async(&NetnsRef::Root, own_netns).await.unwrap(), own_netns());
}

#[test]
fn a_panic_inside_is_an_error_and_the_thread_goes_on() {
    let (netns, opener) = (Netns::new("enter-panic"), Opener::start().unwrap());
    let panicked = opener.within(&path_of(&netns), || panic!("from inside"));
    let Err(Error::Panicked { message }) = panicked else { panic!("{panicked:?}") };
    assert_eq!(message, "from inside");
    assert_eq!(opener.within(&NetnsRef::Root, own_netns).unwrap(), own_netns());
}

#[test]
fn what_is_no_namespace_is_told_apart_from_what_is_gone() {
    let opener = Opener::start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plain");
    let enter = || opener.within(&NetnsRef::Path(path.clone()), || ());
    assert!(matches!(enter(), Err(Error::Gone { .. })));
    fs::write(&path, "").unwrap();
    assert!(matches!(enter(), Err(Error::NotReady { .. })));
    assert!(matches!(enter(), Err(error) if error.retry()));
}

#[test]
fn the_opener_keeps_no_namespace_alive() {
    let opener = Opener::start().unwrap();
    let netns = Netns::new("enter-free");
    let witness = netns.witness();
    opener.within(&path_of(&netns), || ()).unwrap();
    drop(netns);
    wait_until("the namespace to be freed", DEADLINE, || witness.saw_it_freed());
}

#[tokio::test]
async fn waiting_for_a_namespace_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(unique("ready"));
    let soon = Duration::from_millis(20);
    assert!(matches!(ready(&path, soon).await, Err(Error::Gone { .. })));
    fs::write(&path, "").unwrap();
    assert!(matches!(ready(&path, soon).await, Err(Error::NotReady { .. })));
    let netns = Netns::new("ready");
    ready(netns.path(), soon).await.unwrap();
}
