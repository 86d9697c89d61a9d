//! What can go wrong between us and connection tracking, and whether trying again is worth it.

use std::io;

use anetcon_netlink::Malformed;
use nix::errno::Errno;
use thiserror::Error;

/// Why connections could not be read. Lost events are no error: see [`Drained`](crate::Drained).
#[derive(Debug, Error)]
pub enum Error {
    /// A system call on the socket failed.
    #[error("cannot {action}")]
    Socket {
        /// What was being done, as in "cannot ...".
        action: &'static str,
        /// The error of the system call.
        #[source]
        source: io::Error,
    },
    /// A handed-over file descriptor is not what it should be.
    #[error("the adopted file descriptor is {found}, not {wanted}")]
    Adopted {
        /// What it is.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// The kernel did not make the dump.
    #[error("the kernel refused to dump the connections")]
    Refused {
        /// Its reason.
        #[source]
        errno: Errno,
    },
    /// The dump ended without an end mark.
    #[error("the kernel did not finish the dump of the connections")]
    Unanswered,
    /// Each dump was interrupted, or events were lost meanwhile.
    #[error("each of {attempts} dumps of the connections was interrupted")]
    Interrupted {
        /// How often it was tried.
        attempts: u32,
    },
    /// The kernel's answer to a dump cannot be understood.
    #[error("cannot understand the kernel's answer about the connections")]
    Malformed(#[from] Malformed),
}

impl Error {
    /// Whether the same call may succeed when it is made again soon, with nothing else changed.
    pub fn retry(&self) -> bool {
        match self {
            Self::Unanswered | Self::Interrupted { .. } => true,
            Self::Socket { source, .. } => source.raw_os_error().is_some_and(passing),
            Self::Refused { errno } => passing(*errno as i32),
            Self::Adopted { .. } | Self::Malformed(_) => false,
        }
    }
}

/// Errors that say "not now" rather than "not this".
fn passing(errno: i32) -> bool {
    let errno = Errno::from_raw(errno);
    matches!(errno, Errno::EAGAIN | Errno::EBUSY | Errno::EINTR | Errno::ENOBUFS | Errno::ENOMEM)
}
