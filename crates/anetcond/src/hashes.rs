//! The hash file: which namespace a log line's hash means, also long after the namespace is gone.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anetcon_core::hashfile;
use anetcon_core::netns::NetnsName;

/// The file, and the names that must be in it.
#[derive(Debug, Clone)]
pub struct HashFile(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    path: Option<PathBuf>,
    names: BTreeSet<NetnsName>,
    unsaved: bool,
}

impl HashFile {
    /// Nothing is read or written before the first [`save`](Self::save). `None`: nothing is stored.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self(Arc::new(Mutex::new(State { path, names: BTreeSet::new(), unsaved: false })))
    }

    /// The names go to this file from now on.
    pub fn move_to(&self, path: Option<PathBuf>) {
        let mut state = self.state();
        if state.path != path {
            state.path = path;
            state.unsaved = true;
        }
    }

    /// A name that must be in the file. Names are never removed: old logs must stay readable.
    pub fn add(&self, name: &NetnsName) {
        let mut state = self.state();
        state.unsaved |= state.names.insert(name.clone());
    }

    /// Brings the file up to date, if there is anything new, on a thread that may wait for the disk. A failure is
    /// logged and tried again at the next sweep: auditing does not depend on it.
    pub fn save(&self) {
        if self.state().unsaved {
            let file = self.clone();
            tokio::task::spawn_blocking(move || file.state().save());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn save(&mut self) {
        let Some(path) = self.path.as_deref().filter(|_| self.unsaved) else { return };
        match merge(path, &self.names) {
            Ok(()) => self.unsaved = false,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "cannot store the hashes of namespaces");
            }
        }
    }
}

/// Adds the names to what the file holds. It is replaced in one step: whoever reads it sees the old or the new one.
fn merge(path: &Path, names: &BTreeSet<NetnsName>) -> io::Result<()> {
    let mut content = hashfile::HashFile::parse(&read(path)?);
    let mut changed = false;
    for name in names {
        match content.add(name) {
            Ok(new) => changed |= new,
            Err(error) => tracing::warn!(%error, "a namespace is missing in the hash file"),
        }
    }
    if !changed {
        return Ok(());
    }
    for collision in content.collisions() {
        let (hash, names) = (&collision.hash, collision.names.join(", "));
        tracing::warn!(
            hash,
            names,
            "one hash means several namespaces: set `log.namespace = \"name\"`"
        );
    }
    replace(path, &content.to_bytes())
}

/// No file is an empty one.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        result => result,
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(fresh, path)
}
