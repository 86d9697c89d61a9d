//! The service manager's file descriptor store in the systemd of Debian 13: what outlives the agent, and what does not.
#![allow(clippy::disallowed_methods, reason = "systemd is what this is tested with")]
#![allow(clippy::indexing_slicing, reason = "a missing member of a JSON document is null")]

#[path = "../machine_wide_store/proof.rs"]
mod proof;
#[path = "../machine_wide_systemd/system.rs"]
mod system;

use proof::{
    kills_and_restarts_lose_nothing, many_namespaces_are_adopted,
    sockets_of_gone_namespaces_are_given_up,
};
use system::trixie;

#[test]
fn kills_and_restarts_lose_nothing_in_systemd_257() {
    kills_and_restarts_lose_nothing(&trixie());
}

#[test]
fn sockets_of_gone_namespaces_are_given_up_in_systemd_257() {
    sockets_of_gone_namespaces_are_given_up(&trixie());
}

#[test]
fn many_namespaces_are_adopted_in_systemd_257() {
    many_namespaces_are_adopted(&trixie());
}
