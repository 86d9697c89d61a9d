//! Which named namespaces there are now: the files in the netns folders.
//!
//! Whether a file is a namespace (yet) is asked when it is entered, not here.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use anetcon_core::netns::NetnsName;

use crate::Error;
use crate::folder::is_missing;

/// What the folders hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The namespaces, sorted by name. Of two with the same name the one in the earlier folder counts.
    pub namespaces: Vec<Listed>,
    /// Files that cannot be audited under their name.
    pub skipped: Vec<Skipped>,
}

/// One named namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: NetnsName,
    /// Its file.
    pub path: PathBuf,
}

/// A file that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its path.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// Why a file in a netns folder was left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// Rules, log lines and records carry names as text.
    #[error("the name is not UTF-8")]
    NotUtf8,
    /// `default` always means the root namespace.
    #[error("the name means the root namespace")]
    Reserved,
    /// An earlier folder has a namespace of the same name.
    #[error("{} has the same name and comes first", first.display())]
    Duplicate {
        /// The one that counts.
        first: PathBuf,
    },
}

/// Lists the namespaces in `directories`. A folder that does not exist is an empty one: iproute2 makes its
/// folder with the first namespace.
pub fn list(directories: &[PathBuf]) -> Result<Listing, Error> {
    let mut found = BTreeMap::new();
    let mut skipped = Vec::new();
    for directory in directories {
        for path in files(directory)? {
            match place(&mut found, &path) {
                Ok(()) => {}
                Err(reason) => skipped.push(Skipped { path, reason }),
            }
        }
    }
    let namespaces = found.into_iter().map(|(name, path)| Listed { name, path }).collect();
    Ok(Listing { namespaces, skipped })
}

fn place(found: &mut BTreeMap<NetnsName, PathBuf>, path: &Path) -> Result<(), SkipReason> {
    let name = name_of(path.file_name().unwrap_or_default())?;
    if let Some(first) = found.get(&name) {
        return Err(SkipReason::Duplicate { first: first.clone() });
    }
    found.insert(name, path.to_owned());
    Ok(())
}

/// The namespace a file name stands for.
pub(crate) fn name_of(file_name: &OsStr) -> Result<NetnsName, SkipReason> {
    let text = file_name.to_str().ok_or(SkipReason::NotUtf8)?;
    NetnsName::named(text).ok_or(SkipReason::Reserved)
}

/// The files of one folder, sorted. Sub-folders are none of ours.
pub(crate) fn files(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| Error::at("list", directory, error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(failed)?,
        Err(error) if is_missing(&error) => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let mut paths: Vec<_> =
        entries.iter().filter(|entry| !is_folder(entry)).map(DirEntry::path).collect();
    paths.sort();
    Ok(paths)
}

fn is_folder(entry: &DirEntry) -> bool {
    // The kernel tells the type with the name; an entry deleted since then makes no difference.
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_missing_folder_is_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("not/yet");
        assert_eq!(list(&[missing]).unwrap(), Listing::default());
    }

    #[test]
    fn the_first_folder_wins_and_odd_names_are_set_aside() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let touch = |path: &Path| fs::write(path, "").unwrap();
        let invalid = one.path().join(OsStr::from_bytes(b"\xff"));
        for path in [one.path().join("b"), one.path().join("default"), invalid.clone()] {
            touch(&path);
        }
        fs::create_dir(one.path().join("folder")).unwrap();
        touch(&two.path().join("b"));
        touch(&two.path().join("a"));

        let listing = list(&[one.path().to_owned(), two.path().to_owned()]).unwrap();
        let paths: Vec<_> = listing.namespaces.iter().map(|listed| listed.path.clone()).collect();
        assert_eq!(paths, [two.path().join("a"), one.path().join("b")]);
        let first = one.path().join("b");
        let expected = [
            (one.path().join("default"), SkipReason::Reserved),
            (invalid, SkipReason::NotUtf8),
            (two.path().join("b"), SkipReason::Duplicate { first }),
        ];
        let expected = expected.map(|(path, reason)| Skipped { path, reason });
        assert_eq!(listing.skipped, expected);
    }
}
