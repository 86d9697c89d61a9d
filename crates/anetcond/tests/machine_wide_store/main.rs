//! The service manager's file descriptor store in this machine's own systemd: what outlives the agent, and what does not.
#![allow(clippy::disallowed_methods, reason = "systemd is what this is tested with")]
#![allow(clippy::indexing_slicing, reason = "a missing member of a JSON document is null")]

mod proof;

use std::path::Path;

use proof::{
    kills_and_restarts_lose_nothing, many_namespaces_are_adopted,
    sockets_of_gone_namespaces_are_given_up,
};

#[test]
fn kills_and_restarts_lose_nothing_in_our_systemd() {
    kills_and_restarts_lose_nothing(Path::new("/"));
}

#[test]
fn sockets_of_gone_namespaces_are_given_up_in_our_systemd() {
    sockets_of_gone_namespaces_are_given_up(Path::new("/"));
}

#[test]
fn many_namespaces_are_adopted_in_our_systemd() {
    many_namespaces_are_adopted(Path::new("/"));
}
