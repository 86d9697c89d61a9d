//! Paths: absolute, usable, and no two things in one place.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Config;
use super::diagnostic::{Diagnostic, Errors};
use super::raw::{Raw, Text};
use super::suggest::quote;

/// The longest path of a Unix socket: `sun_path` of unix(7) less its end mark.
const MAX_SOCKET: usize = 107;
/// The longest path (`PATH_MAX` less its end mark, linux/limits.h).
const MAX_PATH: usize = 4095;

/// The absolute path of a folder.
pub(super) fn directory(key: &str, text: &Text) -> Result<PathBuf, Diagnostic> {
    let value = text.value.as_str();
    let refuse = |reason: String, help: &str| {
        Err(Diagnostic::new(format!("`{key}`{reason}"), text.span.clone()).help(help))
    };
    if value.is_empty() {
        return refuse(
            " is empty".into(),
            "give an absolute path, or leave the key out for its default",
        );
    }
    if let Some(odd) = value.chars().find(|c| c.is_control()) {
        return refuse(format!(": a path cannot hold {odd:?}"), "remove the control character");
    }
    if !value.starts_with('/') {
        let expands = value.starts_with(['~', '$']);
        let help = if expands {
            "`~` and variables are not expanded; write the whole path, beginning with `/`"
        } else {
            "write the whole path, beginning with `/`"
        };
        return refuse(format!(": {} is not an absolute path", quote(value)), help);
    }
    if value.len() > MAX_PATH {
        let reason = format!(" is {} bytes long; a path has at most {MAX_PATH}", value.len());
        return refuse(reason, "choose a shorter path");
    }
    Ok(value.into())
}

/// The absolute path of a file.
pub(super) fn file(key: &str, text: &Text) -> Result<PathBuf, Diagnostic> {
    let path = directory(key, text)?;
    if text.value.ends_with(['/']) || path.file_name().is_none() {
        let message = format!("`{key}`: {} is a folder, not a file", quote(&text.value));
        return Err(Diagnostic::new(message, text.span.clone()).help("add the name of the file"));
    }
    Ok(path)
}

/// The absolute path of a Unix socket.
pub(super) fn socket(key: &str, text: &Text) -> Result<PathBuf, Diagnostic> {
    let path = file(key, text)?;
    if text.value.len() > MAX_SOCKET {
        let length = text.value.len();
        let message = format!(
            "`{key}` is {length} bytes long; the path of a socket has at most {MAX_SOCKET}"
        );
        return Err(Diagnostic::new(message, text.span.clone()).help("choose a shorter path"));
    }
    Ok(path)
}

/// Something that needs a path for itself.
struct Place {
    what: &'static str,
    path: PathBuf,
    is_file: bool,
    span: Option<Range<usize>>,
}

/// Refuses two files in one place, and a folder where a file must be.
pub(super) fn clashes(config: &Config, raw: &Raw, errors: &mut Errors) {
    let places = places(config, raw);
    for (index, one) in places.iter().enumerate() {
        for other in places.iter().skip(index + 1) {
            if let Some(problem) = clash(one, other).or_else(|| clash(other, one)) {
                let span = other.span.clone().or_else(|| one.span.clone());
                errors.push(Diagnostic::new(problem, span).help("give each a path of its own"));
            }
        }
    }
}

fn places(config: &Config, raw: &Raw) -> Vec<Place> {
    let place = |what, path: &Path, is_file, text: &Option<Text>| Place {
        what,
        path: path.to_owned(),
        is_file,
        span: text.as_ref().and_then(|text| text.span.clone()),
    };
    let (log, state) = (&config.log.directory, &config.state.directory);
    let (float, nat) = (log.join("anetcon.float.log"), log.join("anetcon.nat.log"));
    let mut places = vec![
        place("`log.directory`", log, false, &raw.log.directory),
        place("the log of floating addresses", &float, true, &raw.log.directory),
        place("the log of other connections", &nat, true, &raw.log.directory),
        place("`state.directory`", state, false, &raw.state.directory),
        place("`control.socket`", &config.control.socket, true, &raw.control.socket),
        place("`records.file`", &config.records.file, true, &raw.records.file),
    ];
    if let Some(hash_file) = &config.state.hash_file {
        places.push(place("`state.hash_file`", hash_file, true, &raw.state.hash_file));
    }
    if let Some(textfile) = &config.metrics.textfile {
        places.push(place("`metrics.textfile`", textfile, true, &raw.metrics.textfile));
    }
    places
}

/// Whether `other` is at or below the file `one`.
fn clash(one: &Place, other: &Place) -> Option<String> {
    if !one.is_file || !other.path.starts_with(&one.path) {
        return None;
    }
    let relation = if other.path == one.path { "the same path" } else { "a path below it" };
    Some(format!("{} is {:?} and {} has {relation}", one.what, one.path, other.what))
}
