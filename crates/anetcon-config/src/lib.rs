//! The configuration's files: which there are, in which order they count, and their text. What they mean is the core's work.
//!
//! The search is that of the UAPI group's configuration files specification: the administrator's folder before what was made
//! at run time, that before the vendor's; drop-ins over the main file, in the order of their names; a link to /dev/null
//! masks what has the same name in a weaker folder.

#![forbid(unsafe_code)]

mod search;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anetcon_core::config::{self, Config, ConfigErrors, Sources};
use anetcon_core::legacy::{self, Format};
use thiserror::Error;

use crate::search::{Search, drop_ins_of};

/// Where an administrator has the main file. It need not exist.
pub const USUAL: &str = "/etc/anetcon/anetcon.toml";

/// A file or folder of the configuration that is there and cannot be read, or was named and is not there.
#[derive(Debug, Error)]
#[error("cannot read the configuration {}", path.display())]
pub struct Unreadable {
    /// Which.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub error: io::Error,
}

/// The files of one configuration, read.
#[derive(Debug, Clone)]
pub struct Files {
    main: Option<PathBuf>,
    drop_ins: Vec<PathBuf>,
    format: Format,
    /// The main file as it is.
    bytes: Vec<u8>,
    sources: Sources,
}

impl Files {
    /// The named file with its own drop-ins (`FILE.d/*.toml`), or what is found in the usual folders.
    ///
    /// # Errors
    /// The first file or folder that cannot be read. That there is none is no error unless it was named.
    pub fn read(named: Option<&Path>) -> Result<Self, Unreadable> {
        let (main, drop_ins) = match named {
            Some(file) => (Some(file.to_owned()), drop_ins_of(file)?),
            None => Search::usual().run()?,
        };
        Self::from(main, drop_ins)
    }

    fn from(main: Option<PathBuf>, mut drop_ins: Vec<PathBuf>) -> Result<Self, Unreadable> {
        let mut sources = Sources::default();
        let bytes = main.as_deref().map(read).transpose()?.unwrap_or_default();
        let mut format = Format::Toml;
        if let Some(file) = &main {
            sources.push(file.display().to_string(), &bytes);
            if legacy::is_legacy(file, &bytes) {
                // A script's file had none.
                (format, drop_ins) = (Format::Bash, Vec::new());
            }
        }
        for file in &drop_ins {
            sources.push(file.display().to_string(), &read(file)?);
        }
        Ok(Self { main, drop_ins, format, bytes, sources })
    }

    /// What they say together.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parse(&self) -> Result<Config, ConfigErrors> {
        match self.format {
            Format::Bash => legacy::read(&self.bytes).map(|migration| migration.config),
            Format::Toml => config::parse_all(&self.sources),
        }
    }

    /// The diagnostics of what is wrong, with file, line, column and caret.
    pub fn render(&self, errors: &ConfigErrors, color: bool) -> String {
        errors.render_all(&self.sources, color)
    }

    /// The main file; `None`: there is none, and what no drop-in says has its default.
    pub fn main(&self) -> Option<&Path> {
        self.main.as_deref()
    }

    /// The drop-ins, the weakest first.
    pub fn drop_ins(&self) -> &[PathBuf] {
        &self.drop_ins
    }

    /// The format of the main file.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The texts, into which errors point.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Unreadable> {
    fs::read(path).map_err(|error| Unreadable { path: path.to_owned(), error })
}
