//! The text of the hash file: lines `<hash> <name>`, which say whose log lines carry a hash.
//!
//! Lines are never removed, because old logs must stay readable. Lines that are damaged are kept as they
//! are, after the others. Reading and replacing the file is the agent's work.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::netns::NetnsName;
use crate::prefix::NetnsHash;

/// The content of a hash file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HashFile {
    entries: BTreeSet<Entry>,
    damaged: BTreeSet<Vec<u8>>,
}

/// One line: this hash in a log line means this namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// 8 hex digits.
    pub hash: String,
    /// The namespace's name; it may hold spaces.
    pub name: String,
}

/// Two or more names that share a hash: log lines with it cannot be told apart by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The hash.
    pub hash: String,
    /// The names, sorted.
    pub names: Vec<String>,
}

/// Why a name cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the namespace name {name:?} holds a line break, which a line of the hash file cannot")]
pub struct LineBreak {
    /// The name.
    pub name: String,
}

impl HashFile {
    /// Reads a file. Nothing is refused: see [`damaged`](Self::damaged).
    pub fn parse(bytes: &[u8]) -> Self {
        let mut file = Self::default();
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match Entry::parse(line) {
                Some(entry) => file.entries.insert(entry),
                None => file.damaged.insert(line.to_vec()),
            };
        }
        file
    }

    /// Adds a namespace; `false` if it was there.
    ///
    /// # Errors
    /// A name with a line break.
    pub fn add(&mut self, netns: &NetnsName) -> Result<bool, LineBreak> {
        let name = netns.as_str().to_owned();
        if name.contains('\n') {
            return Err(LineBreak { name });
        }
        let hash = NetnsHash::of(netns).as_str().to_owned();
        Ok(self.entries.insert(Entry { hash, name }))
    }

    /// The entries, sorted by hash and name.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The lines that are no entry, sorted: no hash and name, not UTF-8, or a name that does not give its hash
    /// (a line that was cut short).
    pub fn damaged(&self) -> impl Iterator<Item = &[u8]> {
        self.damaged.iter().map(Vec::as_slice)
    }

    /// The hashes that stand for more than one name.
    pub fn collisions(&self) -> Vec<Collision> {
        let entries: Vec<&Entry> = self.entries.iter().collect();
        entries
            .chunk_by(|left, right| left.hash == right.hash)
            .filter_map(|same| match same {
                [first, _, ..] => Some(Collision {
                    hash: first.hash.clone(),
                    names: same.iter().map(|entry| entry.name.clone()).collect(),
                }),
                _ => None,
            })
            .collect()
    }

    /// The whole file: the entries, then the damaged lines, each ended by a newline.
    pub fn to_bytes(&self) -> Vec<u8> {
        let entries = self.entries.iter().map(|Entry { hash, name }| format!("{hash} {name}"));
        let lines = entries.map(String::into_bytes).chain(self.damaged.iter().cloned());
        lines.flat_map(|line| line.into_iter().chain([b'\n'])).collect()
    }
}

impl Entry {
    fn parse(line: &[u8]) -> Option<Self> {
        let (hash, name) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let netns =
            if name == crate::netns::ROOT { NetnsName::root() } else { NetnsName::named(name)? };
        (NetnsHash::of(&netns).as_str() == hash)
            .then(|| Self { hash: hash.to_owned(), name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> HashFile {
        HashFile::parse(text.as_bytes())
    }

    fn text(file: &HashFile) -> String {
        String::from_utf8(file.to_bytes()).unwrap()
    }

    fn netns(name: &str) -> NetnsName {
        NetnsName::named(name).unwrap()
    }

    #[test]
    fn names_are_added_once_and_the_file_is_sorted() {
        let mut file = file("d48368ae qrouter-1\nc21f969b default\n");
        assert_eq!(file.add(&netns("qrouter-1")), Ok(false));
        assert_eq!(file.add(&netns("a b ")), Ok(true));
        // printf %s 'a b ' | md5sum
        let expected = "c21f969b default\nc813fa13 a b \nd48368ae qrouter-1\n";
        assert_eq!(text(&file), expected);
        assert_eq!(file, self::file(expected), "what is written is read back");
    }

    #[test]
    fn damaged_lines_are_kept_and_reported() {
        let cases: [&[u8]; 7] = [
            b"no hash at all",
            b"d48368ae",
            b"d48368ae qroute",
            b"D48368AE qrouter-1",
            b"d48368ae  qrouter-1",
            b"d48368ae a/b",
            b"d48368ae \xff",
        ];
        for damaged in cases {
            let mut bytes = damaged.to_vec();
            bytes.extend(b"\n\nc21f969b default");
            let file = HashFile::parse(&bytes);
            assert!(file.damaged().eq([damaged]), "{}", damaged.escape_ascii());
            assert_eq!(file.entries().count(), 1);
            assert_eq!(file.to_bytes(), [b"c21f969b default\n", damaged, b"\n"].concat());
        }
    }

    #[test]
    fn repeated_lines_are_kept_once() {
        let once = text(&file("c21f969b default\nc21f969b default\ntorn\ntorn"));
        assert_eq!(once, "c21f969b default\ntorn\n");
    }

    #[test]
    fn a_line_break_is_refused() {
        let mut file = HashFile::default();
        assert!(file.add(&netns("a\nc21f969b default")).is_err());
        assert!(file.to_bytes().is_empty());
    }

    #[test]
    fn two_names_with_one_hash_are_both_kept() {
        // Found by trying: for n in qrouter-8747 qrouter-43636; do printf %s $n | md5sum; done
        let names = ["qrouter-43636", "qrouter-8747"].map(str::to_owned);
        let mut file = file("d48368ae qrouter-1\n");
        for name in &names {
            assert_eq!(file.add(&netns(name)), Ok(true));
        }
        assert_eq!(text(&file).lines().count(), 3);
        let collision = Collision { hash: "aa662069".into(), names: names.to_vec() };
        assert_eq!(file.collisions(), [collision]);
        assert_eq!(self::file(&text(&file)), file);
    }
}
