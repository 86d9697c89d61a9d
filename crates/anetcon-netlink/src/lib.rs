//! Netlink as bytes: datagrams split into messages, streams of attributes walked, requests built.
//!
//! Pure and bounds-checked: whatever the bytes, the answer is a value or [`Malformed`], never a panic. No socket is
//! known here, and no subsystem's meaning: those are the work of the crates that speak to one.

#![forbid(unsafe_code)]

pub mod attribute;
pub mod message;

use thiserror::Error;

/// Bytes that are no netlink message or attribute stream: cut short, or with a length that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("malformed {0}")]
pub struct Malformed(pub &'static str);

/// Exactly `N` bytes, or `None`.
pub fn array<const N: usize>(data: &[u8]) -> Option<[u8; N]> {
    data.try_into().ok()
}
