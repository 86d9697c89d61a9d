//! The configuration of the bash script that anetcon replaces: read as data, checked, and written as TOML.
//!
//! The script sourced its file, so the file is bash. Here nothing of it is executed: assignments are read, and all that
//! bash would execute or expand is refused with its name and place. [`read()`] gives both the checked
//! configuration and the TOML that says the same, and tells what means something else from now on.

mod assignment;
mod bracket;
mod changes;
mod lex;
mod lists;
mod read;
mod refused;
mod regex;
mod toml;
mod variables;
mod word;

use std::path::Path;

use ::toml::de::DeTable;

pub use self::changes::Change;
use crate::config::diagnostic::Errors;
use crate::config::sources::no_text;
use crate::config::{self, Config, ConfigErrors, Diagnostic};

/// An old file, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// What it asks for, checked as completely as a TOML file is.
    pub config: Config,
    /// The TOML that says the same, with the old file's comments. Reading it gives `config`.
    pub toml: String,
    /// What an operator should know: what means something else, and what was left out.
    pub changes: Vec<Change>,
}

/// Reads an old file. The places of errors are those of `String::from_utf8_lossy(file)`.
///
/// # Errors
/// Everything that is wrong with the file; after something that could be no value at all, only that.
pub fn read(file: &[u8]) -> Result<Migration, ConfigErrors> {
    let mut errors = Errors::default();
    let text = text(file).map_err(only)?;
    let script = lex::lex(text, &mut errors);
    errors.or(())?;
    let mut errors = Errors::default();
    let variables = variables::assign(&script, text, &mut errors);
    let mut old = read::read(&variables, text, &mut errors);
    old.left.extend(script.below);
    let config = config::checked(&old.raw, errors).map_err(in_old_words)?;
    let changes = changes::sorted(old.changes, &config);
    Ok(Migration { config, toml: toml::print(&old.lines, &old.left), changes })
}

/// Which of the two formats a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Ours.
    Toml,
    /// The old bash file.
    Bash,
}

/// Reads a configuration file of either format; [`is_legacy`] says which it is.
///
/// # Errors
/// As [`read()`] and [`config::parse`].
pub fn parse_file(name: &Path, file: &[u8]) -> Result<(Config, Format), ConfigErrors> {
    if is_legacy(name, file) {
        return read(file).map(|migration| (migration.config, Format::Bash));
    }
    let text = utf8(file).map_err(only)?;
    config::parse(text).map(|config| (config, Format::Toml))
}

/// Our keys and the variables that they are read from.
const OLD_WORDS: [(&str, &str); 10] = [
    ("`namespaces`", "`NAMESPACES`"),
    ("`networks`", "`NETS`"),
    ("`period`", "`PERIOD`"),
    ("`rules.table`", "`CHAIN_NAME`"),
    ("`rules.chain`", "`CHAIN_NAME`"),
    ("`log.prefix`", "`LOG_PREFIX`"),
    ("`log.prefix_dnat`", "`LOG_PREFIX_DNAT`"),
    ("`log.prefix_other`", "`LOG_PREFIX_OTHER`"),
    ("`log.namespace`", "`LOG_NAMESPACE_HASH`"),
    ("`state.hash_file`", "`NAMESPACE_HASH_FILE`"),
];

/// What is wrong with a value is found where TOML is checked, and said in the words of the old file.
fn in_old_words(mut errors: ConfigErrors) -> ConfigErrors {
    for diagnostic in &mut errors.diagnostics {
        for text in std::iter::once(&mut diagnostic.message).chain(&mut diagnostic.help) {
            for (ours, old) in OLD_WORDS {
                *text = text.replace(ours, old);
            }
        }
    }
    // A name that is bad for a table is bad for a chain: one complaint is enough.
    errors
        .diagnostics
        .dedup_by(|one, other| one.message == other.message && one.span == other.span);
    errors
}

/// Whether a file is in the old format, so that [`read()`] and not [`config::parse`] is to read it: its name ends in `.conf`, and
/// [`is_bash`] says so too.
pub fn is_legacy(name: &Path, file: &[u8]) -> bool {
    name.extension().is_some_and(|end| end == "conf") && is_bash(file)
}

/// Whether a file is anything but TOML that sets a key. One that sets a variable of the script is in the old format, also if TOML could
/// read it (`PERIOD=30`), and so is one with nothing but comments.
pub fn is_bash(file: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(file) else { return true };
    let Ok(table) = DeTable::parse(text) else { return true };
    let mut keys = table.get_ref().keys();
    keys.len() == 0 || keys.any(|key| variables::is_known(key.get_ref()))
}

fn utf8(file: &[u8]) -> Result<&str, Diagnostic> {
    std::str::from_utf8(file).map_err(|error| no_text(error.valid_up_to()))
}

/// The text, if bash and TOML could both hold it.
fn text(file: &[u8]) -> Result<&str, Diagnostic> {
    let text = utf8(file)?;
    let found = text.char_indices().find_map(|(at, c)| Some((at, c, odd(at, c)?)));
    match found {
        Some((at, c, (message, help))) => {
            Err(Diagnostic::new(message, Some(at..at + c.len_utf8())).help(help))
        }
        None => Ok(text),
    }
}

/// Why a character cannot stand in the file at all.
fn odd(at: usize, c: char) -> Option<(&'static str, &'static str)> {
    match c {
        '\u{feff}' if at == 0 => Some((
            "a byte order mark, which bash takes for a part of the first word",
            "save the file as UTF-8 without a byte order mark",
        )),
        '\0' => Some(("a NUL byte, which bash drops", "remove it")),
        '\r' => Some((
            "a carriage return, which bash takes for a part of the value before it",
            "save the file with Unix line ends, for example with `sed -i 's/\\r$//'`",
        )),
        _ => None,
    }
}

fn only(diagnostic: Diagnostic) -> ConfigErrors {
    ConfigErrors { diagnostics: vec![diagnostic] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_content_tell_the_format() {
        let cases = [
            ("anetcon.conf", "NAMESPACES=( default )\n", true),
            ("anetcon.conf", "PERIOD=30\n", true),
            ("anetcon.conf", "# nothing\n", true),
            ("anetcon.conf", "source /etc/other\n", true),
            ("anetcon.conf", "period = 30\n", false),
            ("anetcon.conf", "[log]\nprefix = \"A\"\n", false),
            ("anetcon.toml", "NAMESPACES=( default )\n", false),
            ("anetcon.toml", "", false),
            ("conf", "PERIOD=30\n", false),
        ];
        for (name, text, legacy) in cases {
            assert_eq!(is_legacy(Path::new(name), text.as_bytes()), legacy, "{name}: {text}");
        }
        assert!(is_legacy(Path::new("a.conf"), b"\xff"));
    }

    #[test]
    fn each_format_is_read_by_its_reader() {
        let format =
            |name, text: &[u8]| parse_file(Path::new(name), text).map(|(_, format)| format);
        assert_eq!(format("a.conf", b"PERIOD=30"), Ok(Format::Bash));
        assert_eq!(format("a.conf", b"period = 30"), Ok(Format::Toml));
        assert!(format("a.toml", b"PERIOD=30").is_err());
        assert!(format("a.toml", b"# \xff").is_err());
    }
}
