//! What is asked of the system once in a while: the clocks, the boot id, the host's name.

use std::fs;
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::gethostname;

use crate::clock::Now;

/// Reads both clocks.
pub fn now() -> Now {
    Now { monotonic: monotonic(), wall: Timestamp::now() }
}

fn monotonic() -> Duration {
    // CLOCK_MONOTONIC exists on every kernel and the call takes no other input, so it cannot fail.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// The kernel's id of this boot, a new one each boot.
///
/// # Errors
/// /proc is not mounted.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The host's name up to the first dot, as rsyslog writes it.
pub fn hostname() -> String {
    let name = gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    match name.split('.').next() {
        Some(short) if !short.is_empty() => short.to_owned(),
        _ => "localhost".to_owned(),
    }
}
