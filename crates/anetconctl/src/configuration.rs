//! Reading the configuration file; checking it is the core's work.

use std::io;
use std::path::{Path, PathBuf};

use anetcon_core::config::{self, Config, ConfigErrors};
use anyhow::anyhow;

use crate::exit::{Exit, Failure};

/// Where the configuration is when nobody says otherwise.
pub const USUAL: &str = "/etc/anetcon/anetcon.toml";

/// A file's text.
#[derive(Debug)]
pub struct Source {
    /// Its file; `None`: there is none in the usual place.
    pub file: Option<PathBuf>,
    /// Its text; empty if there is none.
    pub text: String,
}

/// Read and check the named file, or the one in the usual place if there is one.
///
/// # Errors
/// [`Exit::BadConfiguration`] with the diagnostics, or as [`read`].
pub fn load(named: Option<&Path>, color: bool) -> Result<Config, Failure> {
    let source = read(named)?;
    match config::parse(&source.text) {
        Ok(config) => Ok(config),
        Err(errors) => {
            let text = render(&source, &errors, color);
            Err(Failure::new(Exit::BadConfiguration, anyhow!("the configuration is bad\n{text}")))
        }
    }
}

/// Read the named file, or the one in the usual place if there is one.
///
/// # Errors
/// A file that is named must be there ([`Exit::BadConfiguration`]); one that is there must be
/// readable ([`Exit::CannotTell`]).
pub fn read(named: Option<&Path>) -> Result<Source, Failure> {
    let path = named.unwrap_or(Path::new(USUAL));
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Source { file: Some(path.to_owned()), text }),
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
            Ok(Source { file: None, text: String::new() })
        }
        Err(error) => {
            let exit = match error.kind() {
                io::ErrorKind::PermissionDenied => Exit::CannotTell,
                _ => Exit::BadConfiguration,
            };
            Err(Failure::new(exit, error).context(format!("cannot read {}", path.display())))
        }
    }
}

/// The diagnostics of a bad file.
pub fn render(source: &Source, errors: &ConfigErrors, color: bool) -> String {
    let name = source.file.as_deref().unwrap_or(Path::new(USUAL)).display().to_string();
    errors.render(&name, &source.text, color)
}
