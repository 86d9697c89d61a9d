//! `net.netfilter.nf_log_all_netns`: whether namespaces other than the initial one may log at all.
//!
//! The kernel's default is 0, and rules in every router namespace then count and log nothing
//! (Documentation/networking/netfilter-sysctl.rst). It is one setting for the whole machine, so whoever
//! changes it has to think of the others: see [`Hold`].

mod changes;
mod claims;
mod hold;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use changes::Changes;
pub use hold::{Hold, Released};

/// Where the kernel shows the setting, in the initial network namespace only.
const PATH: &str = "/proc/sys/net/netfilter/nf_log_all_netns";

/// The setting. Nothing is kept open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NfLogAllNetns {
    path: PathBuf,
}

/// Why the setting could not be read or changed.
#[derive(Debug, Error)]
pub enum SettingError {
    /// The kernel does not show it here.
    #[error(
        "there is no {}: the kernel lacks netfilter logging, or this is not the initial network namespace",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Writing wants root.
    #[error("no permission to {action} {}", path.display())]
    NoPermission {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// /proc/sys is mounted read-only, as systemd's ProtectKernelTunables does.
    #[error("{} is mounted read-only for this process", path.display())]
    ReadOnly {
        /// What was to be written.
        path: PathBuf,
    },
    /// It holds something that is no number.
    #[error("{} holds {text:?}, not a number", path.display())]
    Unexpected {
        /// Where.
        path: PathBuf,
        /// What.
        text: String,
    },
    /// Anything else.
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

impl NfLogAllNetns {
    /// The setting of this machine.
    pub fn system() -> Self {
        Self::at(PATH)
    }

    /// A setting at another place, for tests. Agents see each other's [`Hold`]s if they use the same path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Whether it is on.
    pub fn read(&self) -> Result<bool, SettingError> {
        let text = fs::read_to_string(&self.path).map_err(|error| self.failed("read", error))?;
        let number: Result<i64, _> = text.trim().parse();
        let unexpected = |_| SettingError::Unexpected { path: self.path.clone(), text };
        number.map(|number| number != 0).map_err(unexpected)
    }

    /// Switches it on or off for the whole machine.
    pub fn set(&self, on: bool) -> Result<(), SettingError> {
        let text = if on { "1\n" } else { "0\n" };
        OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| self.failed("write", error))
    }

    /// Switches it on, if it is not, until the last agent of this machine releases it.
    pub fn acquire(&self) -> Result<Hold, SettingError> {
        Hold::acquire(self)
    }

    /// Watches it. Must be called inside a tokio runtime.
    pub fn changes(&self) -> Changes {
        Changes::of(self)
    }

    fn failed(&self, action: &'static str, source: io::Error) -> SettingError {
        SettingError::at(action, &self.path, source)
    }
}

impl SettingError {
    fn at(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::PermissionDenied => Self::NoPermission { action, path, source },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            _ => Self::Io { action, path, source },
        }
    }
}
