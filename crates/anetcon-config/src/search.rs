//! Which files count.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Unreadable;

/// The folders, the strongest first: the administrator's, what was made at run time, the vendor's.
const FOLDERS: [&str; 3] = ["/etc/anetcon", "/run/anetcon", "/usr/lib/anetcon"];

/// The main file's name in each of them.
const NAME: &str = "anetcon.toml";

/// How names of drop-ins end.
const EXTENSION: &str = "toml";

/// A link to it masks a file.
const MASK: &str = "/dev/null";

/// A search through folders, the strongest first.
#[derive(Debug)]
pub struct Search(Vec<PathBuf>);

impl Search {
    /// In the folders of a system.
    pub fn usual() -> Self {
        Self(FOLDERS.iter().map(PathBuf::from).collect())
    }

    /// The main file, if there is one, and the drop-ins, the weakest first.
    ///
    /// # Errors
    /// A folder that is there and cannot be read.
    pub fn run(&self) -> Result<(Option<PathBuf>, Vec<PathBuf>), Unreadable> {
        let found = self.0.iter().map(|folder| folder.join(NAME)).find(|file| is_there(file));
        let main = found.filter(|file| !is_masked(file));
        let folders = self.0.iter().map(|folder| folder.join(NAME).with_extension("toml.d"));
        Ok((main, drop_ins(folders)?))
    }
}

/// The drop-ins of a file that was named: those beside it.
pub fn drop_ins_of(file: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let mut folder = file.file_name().map(OsStr::to_owned).unwrap_or_default();
    folder.push(".d");
    drop_ins([file.with_file_name(folder)].into_iter())
}

/// By name over all folders: of one name only the strongest counts, and a masked one not at all.
fn drop_ins(folders: impl Iterator<Item = PathBuf>) -> Result<Vec<PathBuf>, Unreadable> {
    let mut strongest: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for folder in folders {
        for file in entries(&folder)? {
            let name = file.file_name().map(OsStr::to_owned).unwrap_or_default();
            strongest.entry(name).or_insert(file);
        }
    }
    Ok(strongest.into_values().filter(|file| !is_masked(file)).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let failed = |error| Unreadable { path: folder.to_owned(), error };
    let entries = match fs::read_dir(folder) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        entries => entries.map_err(failed)?,
    };
    let paths: Result<Vec<PathBuf>, _> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let named = |path: &PathBuf| path.extension().is_some_and(|end| end == EXTENSION);
    Ok(paths.map_err(failed)?.into_iter().filter(named).collect())
}

/// Also a link that leads nowhere: reading it then says so.
fn is_there(file: &Path) -> bool {
    file.symlink_metadata().is_ok()
}

fn is_masked(file: &Path) -> bool {
    fs::canonicalize(file).is_ok_and(|target| target == Path::new(MASK))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Three folders, and the files that are found in them, named by folder and name.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new(files: &[&str], masks: &[&str]) -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            for file in files {
                fs::write(machine.path(file), "").unwrap();
            }
            for mask in masks {
                symlink(MASK, machine.path(mask)).unwrap();
            }
            machine
        }

        fn path(&self, name: &str) -> PathBuf {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        }

        fn found(&self) -> (Option<String>, Vec<String>) {
            let folders = ["etc", "run", "lib"].map(|folder| self.0.path().join(folder));
            let (main, drop_ins) = Search(folders.into()).run().unwrap();
            let name = |path: PathBuf| {
                path.strip_prefix(self.0.path()).unwrap().to_string_lossy().into_owned()
            };
            (main.map(name), drop_ins.into_iter().map(name).collect())
        }
    }

    /// Files, masks, and what is found: the main file and the drop-ins.
    type Case = (
        &'static [&'static str],
        &'static [&'static str],
        Option<&'static str>,
        &'static [&'static str],
    );

    #[test]
    fn the_strongest_file_of_a_name_counts_and_names_order_them() {
        let cases: [Case; 7] = [
            (&[], &[], None, &[]),
            (&["lib/anetcon.toml"], &[], Some("lib/anetcon.toml"), &[]),
            (
                &["lib/anetcon.toml", "run/anetcon.toml", "etc/anetcon.toml"],
                &[],
                Some("etc/anetcon.toml"),
                &[],
            ),
            (&["lib/anetcon.toml"], &["etc/anetcon.toml"], None, &[]),
            (
                &[
                    "lib/anetcon.toml.d/20-b.toml",
                    "etc/anetcon.toml.d/10-a.toml",
                    "run/anetcon.toml.d/30-c.toml",
                ],
                &[],
                None,
                &[
                    "etc/anetcon.toml.d/10-a.toml",
                    "lib/anetcon.toml.d/20-b.toml",
                    "run/anetcon.toml.d/30-c.toml",
                ],
            ),
            (
                &[
                    "lib/anetcon.toml.d/a.toml",
                    "run/anetcon.toml.d/a.toml",
                    "etc/anetcon.toml.d/a.txt",
                ],
                &[],
                None,
                &["run/anetcon.toml.d/a.toml"],
            ),
            (&["lib/anetcon.toml.d/a.toml"], &["etc/anetcon.toml.d/a.toml"], None, &[]),
        ];
        for (files, masks, main, drop_ins) in cases {
            let (found, over) = Machine::new(files, masks).found();
            assert_eq!(
                (found.as_deref(), over),
                (main, drop_ins.iter().map(ToString::to_string).collect())
            );
        }
    }

    #[test]
    fn a_named_file_has_the_drop_ins_beside_it() {
        let machine =
            Machine::new(&["here/my.toml", "here/my.toml.d/a.toml"], &["here/my.toml.d/b.toml"]);
        assert_eq!(
            drop_ins_of(&machine.path("here/my.toml")).unwrap(),
            [machine.path("here/my.toml.d/a.toml")]
        );
        assert!(drop_ins_of(Path::new("/no/such/file")).unwrap().is_empty());
    }
}
