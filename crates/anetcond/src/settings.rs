//! The configuration as loaded: where from, and what the command line put over it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anetcon_core::config::{self, Config, ConfigErrors, Overrides};

/// Read when no `-c` is given; it need not exist.
const DEFAULT_FILE: &str = "/etc/anetcon/anetcon.toml";

/// Where a configuration comes from. Loading it again gives what is there then.
#[derive(Debug, Clone)]
pub struct Source {
    file: PathBuf,
    required: bool,
    overrides: Overrides,
}

/// A configuration that can be put in force.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The checked values.
    pub config: Config,
    /// The file they are from; `None`: there is none, and all values are defaults.
    pub file: Option<PathBuf>,
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum Bad {
    /// The file could not be read: a sentence.
    Unreadable(String),
    /// Something in the file or on the command line is wrong.
    Wrong {
        /// Every error there is.
        errors: ConfigErrors,
        /// What to call the text.
        name: String,
        /// The text the errors point into.
        text: String,
    },
}

impl Bad {
    /// The diagnostics with file, line, column and caret.
    pub fn render(&self, color: bool) -> String {
        match self {
            Self::Unreadable(sentence) => sentence.clone(),
            Self::Wrong { errors, name, text } => errors.render(name, text, color),
        }
    }
}

impl Source {
    /// The given file, or the default one if it exists.
    pub fn new(file: Option<&Path>, overrides: Overrides) -> Self {
        Self {
            file: file.unwrap_or(Path::new(DEFAULT_FILE)).to_owned(),
            required: file.is_some(),
            overrides,
        }
    }

    /// Reads and checks everything. Nothing is touched by it.
    ///
    /// # Errors
    /// A file that cannot be read, and every error of a file or command line that is wrong.
    pub fn load(&self) -> Result<Loaded, Bad> {
        let (config, file) = match self.read()? {
            Some(text) => (self.parse(text)?, Some(self.file.clone())),
            None => (Config::default(), None),
        };
        let config = config.with_overrides(&self.overrides).map_err(|errors| Bad::Wrong {
            errors,
            name: "command line".to_owned(),
            text: String::new(),
        })?;
        Ok(Loaded { config, file })
    }

    fn read(&self) -> Result<Option<String>, Bad> {
        match fs::read_to_string(&self.file) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound && !self.required => Ok(None),
            Err(error) => Err(Bad::Unreadable(format!(
                "cannot read the configuration {}: {error}",
                self.file.display()
            ))),
        }
    }

    fn parse(&self, text: String) -> Result<Config, Bad> {
        config::parse(&text).map_err(|errors| Bad::Wrong {
            errors,
            name: self.file.display().to_string(),
            text,
        })
    }
}

/// The control socket is bound once: another path takes effect at the next start.
const AT_START: [&str; 1] = ["control.socket"];

/// One short phrase for each key that differs (`period: 30 -> 60`).
pub fn changes(old: &Config, new: &Config) -> Vec<String> {
    let pairs = config::values(old).into_iter().zip(config::values(new));
    pairs
        .filter(|(before, after)| before != after)
        .map(|(before, after)| {
            let later = AT_START.contains(&after.key);
            let note = if later { " (takes effect at the next start)" } else { "" };
            format!("{}: {} -> {}{note}", after.key, before.value, after.value)
        })
        .collect()
}
