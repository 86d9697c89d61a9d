//! Which folders hold a namespace of which name, and what to tell when that changes. Pure.
//!
//! Of several folders with the same name the first in the configuration counts, as in a listing.

use std::collections::BTreeMap;
use std::mem;
use std::path::{Path, PathBuf};

use anetcon_core::netns::NetnsName;

use crate::watch::Event;

/// The position of a folder in the configuration.
pub(crate) type FolderIndex = usize;

/// The namespaces that are ready. Each name is announced from the first of its folders.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    places: BTreeMap<NetnsName, Places>,
}

type Places = BTreeMap<FolderIndex, PathBuf>;

impl Roster {
    /// A namespace is ready in this folder.
    pub(crate) fn add(&mut self, name: &NetnsName, folder: FolderIndex, path: &Path) -> Vec<Event> {
        self.update(name, |places| drop(places.insert(folder, path.to_owned())))
    }

    /// The file is gone from this folder.
    pub(crate) fn remove(&mut self, name: &NetnsName, folder: FolderIndex) -> Vec<Event> {
        self.update(name, |places| drop(places.remove(&folder)))
    }

    /// Whether this folder is known to hold a namespace of this name.
    pub(crate) fn holds(&self, name: &NetnsName, folder: FolderIndex) -> bool {
        self.places.get(name).is_some_and(|places| places.contains_key(&folder))
    }

    /// The names in this folder.
    pub(crate) fn names_in(&self, folder: FolderIndex) -> Vec<NetnsName> {
        self.places
            .iter()
            .filter(|(_, places)| places.contains_key(&folder))
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn update(&mut self, name: &NetnsName, change: impl FnOnce(&mut Places)) -> Vec<Event> {
        let mut places = self.places.get_mut(name).map(mem::take).unwrap_or_default();
        let first = |places: &Places| places.values().next().cloned();
        let before = first(&places);
        change(&mut places);
        let after = first(&places);
        if places.is_empty() {
            self.places.remove(name);
        } else {
            self.places.insert(name.clone(), places);
        }
        if before == after {
            return Vec::new();
        }
        let vanished = before.map(|_| Event::Vanished { name: name.clone() });
        let appeared = after.map(|path| Event::Appeared { name: name.clone(), path });
        vanished.into_iter().chain(appeared).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_speaks_for_a_name() {
        let name = NetnsName::named("a").unwrap();
        let paths = ["/0/a", "/1/a", "/2/a"].map(PathBuf::from);
        let appeared =
            |folder: usize| Event::Appeared { name: name.clone(), path: paths[folder].clone() };
        let vanished = || Event::Vanished { name: name.clone() };
        let mut roster = Roster::default();
        assert_eq!(roster.add(&name, 1, &paths[1]), [appeared(1)]);
        assert_eq!(roster.add(&name, 2, &paths[2]), []);
        assert_eq!(roster.add(&name, 0, &paths[0]), [vanished(), appeared(0)]);
        assert_eq!(roster.remove(&name, 1), []);
        assert_eq!(roster.remove(&name, 0), [vanished(), appeared(2)]);
        assert_eq!(roster.remove(&name, 2), [vanished()]);
        assert_eq!(roster.remove(&name, 2), []);
        assert!(roster.names_in(2).is_empty());
    }

    #[test]
    fn a_second_word_about_the_same_file_changes_nothing() {
        let name = NetnsName::named("a").unwrap();
        let path = Path::new("/0/a");
        let mut roster = Roster::default();
        assert!(!roster.holds(&name, 0));
        roster.add(&name, 0, path);
        assert_eq!(roster.add(&name, 0, path), []);
        assert!(roster.holds(&name, 0));
        assert_eq!(roster.names_in(0), [name]);
    }
}
