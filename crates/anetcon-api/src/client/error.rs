//! Why a call gave no document. The variants are what a caller acts on differently.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens at the socket: it does not exist, or nothing accepts.
    #[error("the agent is not running: nothing listens at {}", socket.display())]
    NotRunning {
        /// The path that was tried.
        socket: PathBuf,
        /// `ENOENT` or `ECONNREFUSED`.
        #[source]
        source: io::Error,
    },
    /// The socket's file mode forbids us to connect.
    #[error("no permission to connect to {}", socket.display())]
    NoPermission {
        /// The path that was tried.
        socket: PathBuf,
        /// `EACCES` or `EPERM`.
        #[source]
        source: io::Error,
    },
    /// The agent answered with an error code. Code 403 is a missing permission, 422 a bad configuration.
    #[error("{message}")]
    Refused {
        /// The HTTP code, 400 or above.
        code: u16,
        /// Why.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// The name that was asked for is longer than any file name.
    #[error("no namespace has so long a name")]
    LongName,
    /// The agent did not answer in time.
    #[error("the agent did not answer within {} s", limit.as_secs_f64())]
    NoAnswer {
        /// The time limit.
        limit: Duration,
    },
    /// Connecting failed for another reason.
    #[error("cannot connect to {}", socket.display())]
    Connect {
        /// The path that was tried.
        socket: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The connection ended early, or what came is not HTTP.
    #[error("the conversation with the agent broke off")]
    Http(#[source] hyper::Error),
    /// An answer is longer than any the agent should give.
    #[error("the agent's answer is longer than {limit} bytes")]
    TooLong {
        /// The size limit.
        limit: usize,
    },
    /// An answer is not the document that was asked for.
    #[error("the agent's answer cannot be read")]
    Undecodable(#[source] serde_json::Error),
}

impl Error {
    /// Sort an error of `connect(2)` on a Unix socket.
    pub(super) fn connecting(socket: &Path, source: io::Error) -> Self {
        let socket = socket.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Self::NotRunning { socket, source }
            }
            io::ErrorKind::PermissionDenied => Self::NoPermission { socket, source },
            _ => Self::Connect { socket, source },
        }
    }

    /// Whether the reason is a missing permission, on the socket or by the agent's judgement.
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::NoPermission { .. } | Self::Refused { code: 403, .. })
    }
}
