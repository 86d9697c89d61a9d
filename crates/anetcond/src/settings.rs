//! The configuration as loaded: from which files, and what the command line put over them.

use std::path::{Path, PathBuf};

use anetcon_config::{Files, Unreadable};
use anetcon_core::config::{self, Config, ConfigErrors, Overrides};
use anetcon_core::legacy::Format;

/// Where a configuration comes from. Loading it again gives what is there then.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file named on the command line.
    file: Option<PathBuf>,
    overrides: Overrides,
}

/// A configuration that can be put in force.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The checked values.
    pub config: Config,
    /// The main file they are from; `None`: there is none.
    pub file: Option<PathBuf>,
    /// The files that were put over it, the weakest first.
    pub drop_ins: Vec<PathBuf>,
    /// The format of the main file.
    pub format: Format,
}

impl Loaded {
    /// What is to be told of a file that should be another one: it is in the format of the bash script.
    pub fn notice(&self) -> Option<String> {
        let file = self.file.as_ref().filter(|_| self.format == Format::Bash)?.display();
        Some(format!(
            "{file} is the configuration of the old script, read as data; `anetconctl migrate {file} --write` makes the TOML of it"
        ))
    }
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum Bad {
    /// A file could not be read.
    Unreadable(Unreadable),
    /// Something on the command line is wrong.
    CommandLine(ConfigErrors),
    /// Something in the files is wrong.
    Wrong(ConfigErrors, Box<Files>),
}

impl Bad {
    /// The diagnostics with file, line, column and caret.
    pub fn render(&self, color: bool) -> String {
        match self {
            Self::Unreadable(error) => format!("{error}: {}", error.error),
            Self::CommandLine(errors) => errors.render("command line", "", color),
            Self::Wrong(errors, files) => files.render(errors, color),
        }
    }
}

impl Source {
    /// The given file, or the usual ones.
    pub fn new(file: Option<&Path>, overrides: Overrides) -> Self {
        Self { file: file.map(Path::to_owned), overrides }
    }

    /// Reads and checks everything. Nothing is touched by it.
    ///
    /// # Errors
    /// A file that cannot be read, and every error of a file or command line that is wrong.
    pub fn load(&self) -> Result<Loaded, Bad> {
        let files = Files::read(self.file.as_deref()).map_err(Bad::Unreadable)?;
        let config = match files.parse() {
            Ok(config) => config,
            Err(errors) => return Err(Bad::Wrong(errors, Box::new(files))),
        };
        let config = config.with_overrides(&self.overrides).map_err(Bad::CommandLine)?;
        let file = files.main().map(Path::to_owned);
        Ok(Loaded { config, file, drop_ins: files.drop_ins().to_vec(), format: files.format() })
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
