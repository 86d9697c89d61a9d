//! File descriptors that the service manager hands over (sd_listen_fds(3)).

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// `SD_LISTEN_FDS_START`: the first one; the others follow.
const FIRST: RawFd = 3;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The first `count` descriptors from 3 on, for good. Those that are not open are passed over. The second call gets
/// none: each has one owner.
///
/// To be called before anything else is opened, with what the service manager said: numbers that it did not name may
/// belong to somebody else in this process.
pub fn inherited(count: usize) -> Vec<Option<OwnedFd>> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Vec::new();
    }
    let last = RawFd::try_from(count).map_or(RawFd::MAX, |count| FIRST.saturating_add(count));
    (FIRST..last).map(take).collect()
}

fn take(number: RawFd) -> Option<OwnedFd> {
    fcntl_is_open(number)?;
    // SAFETY: it is open, as was just asked; nobody else owns it, for the service manager made it for us before the first
    // instruction of this process, and the guard above lets each number be taken once.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    // A process that we started would inherit it; we start none.
    let _ = fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    Some(fd)
}

fn fcntl_is_open(number: RawFd) -> Option<()> {
    // SAFETY: F_GETFD reads a flag of a number, open or not.
    let result = unsafe { libc::fcntl(number, libc::F_GETFD) };
    (result >= 0).then_some(())
}
