//! What can go wrong between us and nf_tables, and whether trying again is worth it.

use anetcon_netlink::Malformed;
use nix::errno::Errno;
use thiserror::Error;

/// Why the kernel's tables could not be read or changed.
#[derive(Debug, Error)]
pub enum Error {
    /// A system call on the socket failed.
    #[error("cannot {action}")]
    Socket {
        /// What was being done, as in "cannot ...".
        action: &'static str,
        /// The error of the system call.
        #[source]
        source: Errno,
    },
    /// A handed-over file descriptor is not what it should be.
    #[error("the adopted file descriptor is {found}, not {wanted}")]
    Adopted {
        /// What it is.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A wanted object cannot be put into a netlink message.
    #[error("cannot write {object}: {reason}")]
    Unwritable {
        /// The object, like "rule `anetcon nat`".
        object: String,
        /// Why not.
        reason: &'static str,
    },
    /// The kernel refused a request or a batch; of a batch, nothing was done.
    #[error("the kernel refused {object}{}", detail(.message.as_deref(), *.offset))]
    Refused {
        /// The object that was refused, like "rule `anetcon nat`" or "set `networks4`".
        object: String,
        /// The kernel's error.
        #[source]
        errno: Errno,
        /// The kernel's explanation (`NLMSGERR_ATTR_MSG`).
        message: Option<String>,
        /// Where in the message the refused attribute stands (`NLMSGERR_ATTR_OFFS`).
        offset: Option<u32>,
    },
    /// The kernel did not answer: what was asked may or may not have happened.
    #[error("the kernel did not answer for {object}")]
    Unanswered {
        /// What was asked for.
        object: String,
    },
    /// Answers were lost because the receive buffer was full (`ENOBUFS`): what was asked may or may not have happened.
    #[error("answers of the kernel were lost: the receive buffer was full")]
    Overrun,
    /// Other programs changed the ruleset during each attempt to read it.
    #[error("the ruleset changed during each of {attempts} attempts to read it")]
    Interrupted {
        /// How often it was tried.
        attempts: u32,
    },
    /// The kernel's answer cannot be understood.
    #[error("cannot understand the kernel's answer about {object}")]
    Malformed {
        /// What was asked for.
        object: String,
        /// What is wrong with the bytes.
        #[source]
        source: Malformed,
    },
}

impl Error {
    /// Whether a batch was refused only because the ruleset is no longer the one that it was made for.
    pub fn is_outdated(&self) -> bool {
        matches!(self, Self::Refused { errno: Errno::ERESTART, .. })
    }

    /// Whether the same call may succeed when it is made again soon, with nothing else changed.
    pub fn retry(&self) -> bool {
        match self {
            Self::Unanswered { .. } | Self::Overrun | Self::Interrupted { .. } => true,
            Self::Socket { source: errno, .. } | Self::Refused { errno, .. } => passing(*errno),
            Self::Adopted { .. } | Self::Unwritable { .. } | Self::Malformed { .. } => false,
        }
    }
}

/// Errors that say "not now" rather than "not this".
fn passing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EAGAIN
            | Errno::EBUSY
            | Errno::EINTR
            | Errno::ENOBUFS
            | Errno::ENOMEM
            | Errno::ERESTART
    )
}

fn detail(message: Option<&str>, offset: Option<u32>) -> String {
    let message = message.map(|text| format!(": {text}")).unwrap_or_default();
    let offset = offset.map(|at| format!(" (at byte {at} of the message)")).unwrap_or_default();
    format!("{message}{offset}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_object_and_keeps_the_cause() {
        let error = Error::Refused {
            object: "rule `anetcon nat`".into(),
            errno: Errno::ENOENT,
            message: Some("no such set".into()),
            offset: Some(44),
        };
        assert_eq!(
            error.to_string(),
            "the kernel refused rule `anetcon nat`: no such set (at byte 44 of the message)"
        );
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "ENOENT: No such file or directory");
        assert!(!error.retry());
    }
}
