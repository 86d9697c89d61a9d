//! How far the kernel log was handled, kept over a restart of the agent.
//!
//! Written by rename, so that a reader sees the old or the new position and nothing between. It is not synced to disk: after a
//! power cut the boot id differs and the position is void anyway.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The file's name in the state directory.
pub const FILE_NAME: &str = "kmsg.position";

/// A place in the kernel log of one boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The boot that `sequence` counts in.
    pub boot_id: String,
    /// The last record handled.
    pub sequence: u64,
    /// CLOCK_MONOTONIC minus the kernel log's clock, in nanoseconds; see [`crate::clock`].
    pub lag_ns: i64,
    /// The prefix stems of every configuration so far in this boot, for floating IPs: rules that stayed in force while no agent
    /// ran have written with the last of them, whatever the next configuration says.
    #[serde(default)]
    pub float_stems: Vec<String>,
    /// As `float_stems`, for the other connections.
    #[serde(default)]
    pub nat_stems: Vec<String>,
}

/// Why a position could not be kept or found.
#[derive(Debug, Error)]
pub enum PositionError {
    /// The file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} holds no position in the kernel log", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl Position {
    /// The lag as a duration.
    pub fn lag(&self) -> SignedDuration {
        SignedDuration::from_nanos(self.lag_ns)
    }

    /// Writes the position into the state directory, which is made if it is missing.
    ///
    /// # Errors
    /// [`PositionError::Write`]; the old position, if any, is still there.
    pub fn save(&self, directory: &Path) -> Result<(), PositionError> {
        let path = directory.join(FILE_NAME);
        self.write(directory, &path).map_err(|source| PositionError::Write { path, source })
    }

    fn write(&self, directory: &Path, path: &Path) -> io::Result<()> {
        let text = serde_json::to_string(self)? + "\n";
        let new = path.with_extension("position.new");
        match fs::write(&new, &text) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(directory)?;
                fs::write(&new, &text)?;
            }
            result => result?,
        }
        fs::rename(&new, path)
    }
}

/// Reads the position saved in a state directory; `None` if there is none.
///
/// # Errors
/// [`PositionError::Read`] or [`PositionError::Content`].
pub fn load(directory: &Path) -> Result<Option<Position>, PositionError> {
    let path = directory.join(FILE_NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(PositionError::Read { path, source }),
    };
    serde_json::from_str(&text).map(Some).map_err(|source| PositionError::Content { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("made/on/demand");
        assert_eq!(load(&state).unwrap(), None);
        for sequence in [7, u64::MAX] {
            let position = Position {
                boot_id: "b".into(),
                sequence,
                lag_ns: -5,
                float_stems: vec!["[A][D]".into(), "\"".into()],
                nat_stems: vec!["[A][X]".into()],
            };
            position.save(&state).unwrap();
            assert_eq!(load(&state).unwrap(), Some(position));
        }
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_broken_file_is_an_error_not_a_position() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["", "{", "{\"boot_id\":\"b\"}", "\u{0}\u{0}"] {
            fs::write(directory.path().join(FILE_NAME), text).unwrap();
            assert!(
                matches!(load(directory.path()), Err(PositionError::Content { .. })),
                "{text:?}"
            );
        }
    }
}
