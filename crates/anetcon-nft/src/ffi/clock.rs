//! The kernel's clock, which NTP daemons steer (adjtimex(2)).

use std::io;
use std::mem::MaybeUninit;

/// Whether somebody steers the clock: the kernel does not call it unsynchronised (`STA_UNSYNC`, set again when nobody
/// does so for some hours). chronyd, ntpd and systemd-timesyncd all tell the kernel.
pub fn clock_is_synchronised() -> io::Result<bool> {
    let mut state = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: the structure is plain numbers, all zero: no mode is set, so the kernel only fills it in.
    let answer = unsafe { libc::adjtimex(state.as_mut_ptr()) };
    match answer {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer != libc::TIME_ERROR),
    }
}
