//! Where the files are.

use std::io;
use std::path::{Path, PathBuf};

use anetcon_core::config::Config;
use anetcon_core::hashfile::HashFile;

use super::files::Content;

/// The usual name of the session records.
const SESSIONS: &str = "anetcon.sessions.ndjson";
const KERNEL_FLOAT: &str = "anetcon.float.log";
const KERNEL_NAT: &str = "anetcon.nat.log";
const HASHES: &str = "namespace.hash";

/// The live files; those that were rotated from them lie beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// Session records.
    pub sessions: PathBuf,
    /// Kernel log lines of connections to floating addresses.
    pub kernel_float: PathBuf,
    /// Kernel log lines of all other connections.
    pub kernel_nat: PathBuf,
    /// Which hash means which namespace.
    pub hashes: Option<PathBuf>,
}

impl Sources {
    /// Where a configuration puts them.
    pub fn configured(config: &Config) -> Self {
        Self {
            sessions: config.records.file.clone(),
            kernel_float: config.log.directory.join(KERNEL_FLOAT),
            kernel_nat: config.log.directory.join(KERNEL_NAT),
            hashes: config.state.hash_file.clone(),
        }
    }

    /// All in one folder, under their usual names; the session records under the name of `sessions`.
    pub fn in_folder(folder: &Path, sessions: &Path) -> Self {
        let name = sessions.file_name().unwrap_or(SESSIONS.as_ref());
        Self {
            sessions: folder.join(name),
            kernel_float: folder.join(KERNEL_FLOAT),
            kernel_nat: folder.join(KERNEL_NAT),
            hashes: Some(folder.join(HASHES)),
        }
    }

    /// The live files, with what their lines are.
    pub fn files(&self) -> [(PathBuf, Content); 3] {
        [
            (self.sessions.clone(), Content::Sessions),
            (self.kernel_float.clone(), Content::KernelFloat),
            (self.kernel_nat.clone(), Content::KernelNat),
        ]
    }

    /// What the hash file says; nothing if there is none.
    ///
    /// # Errors
    /// It is there but cannot be read.
    pub(crate) fn read_hashes(&self) -> io::Result<HashFile> {
        let Some(path) = &self.hashes else { return Ok(HashFile::default()) };
        match std::fs::read(path) {
            Ok(bytes) => Ok(HashFile::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(HashFile::default()),
            Err(error) => Err(error),
        }
    }
}
