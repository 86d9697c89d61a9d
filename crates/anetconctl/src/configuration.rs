//! Reading the configuration; checking it is the core's work.

use std::io;
use std::path::{Path, PathBuf};

use anetcon_config::{Files, Unreadable};
use anetcon_core::config::{Config, ConfigErrors, Sources};
use anyhow::anyhow;

use crate::exit::{Exit, Failure};

/// One file as it is, whatever is in it.
#[derive(Debug)]
pub struct Source {
    /// Its file.
    pub file: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Source {
    /// Its text, into which errors point.
    pub fn sources(&self) -> Sources {
        Sources::one(self.file.display().to_string(), &self.bytes)
    }

    /// The diagnostics of a bad file.
    pub fn render(&self, errors: &ConfigErrors, color: bool) -> String {
        errors.render_all(&self.sources(), color)
    }
}

/// Read and check the named file with its drop-ins, or those in the usual places.
///
/// # Errors
/// [`Exit::BadConfiguration`] with the diagnostics, or as [`read`].
pub fn load(named: Option<&Path>, color: bool) -> Result<Config, Failure> {
    let files = read(named)?;
    files.parse().map_err(|errors| bad(&files.render(&errors, color)))
}

/// What is told of a bad configuration.
pub fn bad(text: &str) -> Failure {
    Failure::new(Exit::BadConfiguration, anyhow!("the configuration is bad\n{text}"))
}

/// Read the named file with its drop-ins, or those in the usual places.
///
/// # Errors
/// A file that is named must be there ([`Exit::BadConfiguration`]); one that is there must be
/// readable ([`Exit::CannotTell`]).
pub fn read(named: Option<&Path>) -> Result<Files, Failure> {
    Files::read(named).map_err(|Unreadable { path, error }| unreadable(&path, error))
}

/// Read one file alone.
///
/// # Errors
/// As [`read`].
pub fn read_one(path: &Path) -> Result<Source, Failure> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, error))?;
    Ok(Source { file: path.to_owned(), bytes })
}

fn unreadable(path: &Path, error: io::Error) -> Failure {
    let exit = match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::CannotTell,
        _ => Exit::BadConfiguration,
    };
    Failure::new(exit, error).context(format!("cannot read {}", path.display()))
}
