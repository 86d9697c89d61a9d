//! What can go wrong on the way into a namespace. The message never repeats its source.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use thiserror::Error;

/// Why a namespace could not be entered, or its folder not be watched.
#[derive(Debug, Error)]
pub enum Error {
    /// The file is there, but nothing is mounted on it: `ip netns add` makes the file first and mounts
    /// the namespace a moment later. Or it is a file that never was a namespace.
    #[error("{} is not a network namespace (yet)", path.display())]
    NotReady {
        /// The file.
        path: PathBuf,
    },
    /// The file is not there any more.
    #[error("{} is gone", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The kernel refused; setns(2) wants CAP_SYS_ADMIN.
    #[error("no permission to enter {}: CAP_SYS_ADMIN is needed", path.display())]
    NoPermission {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The work inside the namespace panicked. The opener thread goes on.
    #[error("the work inside the namespace panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The opener thread has ended.
    #[error("the thread that enters namespaces has ended")]
    Stopped,
    /// No netlink socket could be made inside the namespace.
    #[error("cannot open a netlink socket")]
    Socket {
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel refused something about links or addresses.
    #[error("cannot {action}")]
    Netlink {
        /// What was asked for.
        action: &'static str,
        /// What the kernel said.
        #[source]
        source: rtnetlink::Error,
    },
    /// Anything else that the operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether the same call may succeed a moment later, without anybody doing anything about it.
    pub fn retry(&self) -> bool {
        matches!(self, Self::NotReady { .. })
    }

    /// Sorts what the kernel said about `path` into the cases a caller tells apart.
    pub(crate) fn at(action: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        let (path, source) = (path.to_owned(), source.into());
        match source.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT) => Self::Gone { path },
            Some(Errno::EPERM | Errno::EACCES) => Self::NoPermission { path, source },
            _ => Self::Io { action, path, source },
        }
    }
}
