//! Interfaces of a veth pair across two namespaces, made by iproute2.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at what it does not expect")]

use std::time::Duration;

use anetcon_netns::links::{self, Link};
use anetcon_netns::{NetnsRef, Opener};
use anetcon_testkit::netns::{Netns, wait_until};

fn ip(netns: &Netns, arguments: &str) {
    let status = netns.command("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

async fn read(opener: &Opener, netns: &Netns) -> Vec<Link> {
    links::read(opener, &NetnsRef::Path(netns.path().to_owned())).await.unwrap()
}

#[tokio::test]
async fn both_ends_of_a_veth_pair() {
    let (left, right) = (Netns::new("links"), Netns::new("links"));
    let opener = Opener::start().unwrap();
    ip(&left, "link add left index 7 address 02:00:00:00:00:01 type veth peer name right");
    ip(&left, &format!("link set right netns {}", right.name()));
    ip(&left, "address add 192.0.2.1/24 dev left");
    ip(&left, "address add 198.51.100.1 peer 198.51.100.2/32 dev left");
    ip(&left, "-6 address add 2001:db8::1/64 dev left nodad");
    ip(&right, "link set right up");

    let links = read(&opener, &left).await;
    let [lo, veth] = links.as_slice() else { panic!("{links:?}") };
    let name = "lo".to_owned();
    let mac = Some("00:00:00:00:00:00".to_owned());
    assert_eq!(*lo, Link { index: 1, name, kind: None, up: false, mac, addresses: vec![] });
    let expected = Link {
        index: 7,
        name: "left".to_owned(),
        kind: Some("veth".to_owned()),
        up: false,
        mac: Some("02:00:00:00:00:01".to_owned()),
        addresses: ["192.0.2.1/24", "198.51.100.1/32", "2001:db8::1/64"].map(str::to_owned).into(),
    };
    assert_eq!(*veth, expected);
    let links = read(&opener, &right).await;
    assert_eq!(links.iter().map(|link| link.up).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn reading_keeps_no_namespace_alive() {
    let (netns, opener) = (Netns::new("links-free"), Opener::start().unwrap());
    let witness = netns.witness();
    read(&opener, &netns).await;
    drop(netns);
    let deadline = Duration::from_secs(20);
    wait_until("the namespace to be freed", deadline, || witness.saw_it_freed());
}

#[tokio::test]
async fn the_root_namespace_has_links_too() {
    let opener = Opener::start().unwrap();
    let links = links::read(&opener, &NetnsRef::Root).await.unwrap();
    assert!(links.iter().any(|link| link.name == "lo"));
}
