//! The kernel's word on its clock, which is one for the whole machine: its flag is changed, its time is not.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::path::Path;

use anetcon_testkit::patched::Patched;

/// `STA_UNSYNC` (linux/timex.h).
const UNSYNCHRONISED: u32 = 64;

/// The status of the kernel's clock as another program reads it.
fn status(machine: &Patched<'_>) -> u32 {
    let output = machine.shell("adjtimex --print");
    let text = String::from_utf8(output.stdout).unwrap();
    let status = text.lines().find_map(|line| line.trim().strip_prefix("status: ")).unwrap();
    status.parse().unwrap()
}

/// Puts the status back.
struct Restored<'a>(&'a Patched<'a>, u32);

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        self.0.shell(&format!("adjtimex --status {}", self.1));
    }
}

#[test]
fn a_clock_that_nobody_steers_is_mended_by_the_advice() {
    let programs = Path::new(env!("CARGO_BIN_EXE_anetconctl")).parent().unwrap();
    let machine = Patched::new(programs, "");
    let _restored = Restored(&machine, status(&machine));
    assert!(machine.shell(&format!("adjtimex --status {UNSYNCHRONISED}")).status.success());
    // Stands for a daemon that is told to steer the clock, and tells the kernel that it does. Without one the kernel counts
    // its own error up and calls the clock unsynchronised at 16 s (`NTP_PHASE_LIMIT`).
    machine.stub("timedatectl", "adjtimex --maxerror 1000 --esterror 1000 --status 0");
    machine.broken_and_mended("clock");
    assert_eq!(status(&machine) & UNSYNCHRONISED, 0);
}
