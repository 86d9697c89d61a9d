//! The log prefix of a rule: `<prefix><prefix_dnat|prefix_other>[<hash>] `, and the hash that names a namespace.

use std::fmt;

use md5::{Digest, Md5};
use thiserror::Error;

use crate::netns::NetnsName;

/// The longest prefix that every nft version and kernel takes. The kernel allows 127 bytes
/// (`NF_LOG_PREFIXLEN` - 1), nft refuses 127.
pub const MAX_PREFIX: usize = 126;

/// The two kinds of connection that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The destination was translated: a floating IP was used (`ct status dnat`).
    Float,
    /// Every other new connection.
    Nat,
}

impl Kind {
    /// Both kinds, in the order of their rules.
    pub const ALL: [Self; 2] = [Self::Float, Self::Nat];

    /// `float` or `nat`, as in the names of the log files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Nat => "nat",
        }
    }

    /// The kind whose rule carries this comment: `anetcon float`, `anetcon nat ipv4`, ...
    pub fn of_comment(comment: &str) -> Option<Self> {
        let kind = comment.strip_prefix("anetcon ")?.split(' ').next()?;
        Self::ALL.into_iter().find(|known| known.as_str() == kind)
    }
}

/// The first 8 hex digits of the md5 of a namespace's name: what names it in a log prefix.
///
/// It identifies, it does not protect: md5 is what the old script used and old logs hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetnsHash(String);

impl NetnsHash {
    /// The hash of a name, without a newline (`printf %s NAME | md5sum | cut -c1-8`).
    pub fn of(name: &NetnsName) -> Self {
        let digest = Md5::digest(name.as_str().as_bytes());
        Self(digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The 8 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NetnsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the prefix says about the namespace (`log.namespace`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NamespaceTag {
    /// `[1a2b3c4d]`.
    #[default]
    Hash,
    /// `[qrouter-...]`, the whole name.
    Name,
    /// Nothing.
    None,
}

/// The prefixes of one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefixes {
    /// `log.prefix`, `[ANETCON]`.
    pub base: String,
    /// `log.prefix_dnat`, `[D]`.
    pub dnat: String,
    /// `log.prefix_other`, `[X]`.
    pub other: String,
    /// `log.namespace`.
    pub namespace: NamespaceTag,
}

/// Why a namespace cannot have a log prefix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// The prefix would be cut by the kernel.
    #[error("the log prefix {prefix:?} is {} bytes long; at most {MAX_PREFIX} fit", prefix.len())]
    TooLong {
        /// The prefix as it would be.
        prefix: String,
    },
    /// The namespace's name would break the log line.
    #[error("the namespace name holds {character:?}, which cannot stand in a log prefix")]
    Character {
        /// The first such character.
        character: char,
    },
}

impl Prefixes {
    /// The part that is the same in every namespace: what sorts a line into its file.
    pub fn stem(&self, kind: Kind) -> String {
        let kind = match kind {
            Kind::Float => &self.dnat,
            Kind::Nat => &self.other,
        };
        format!("{}{kind}", self.base)
    }

    /// The whole prefix of one namespace's rule, never cut.
    ///
    /// # Errors
    /// With [`NamespaceTag::Name`], a name that is too long or holds a character that [`allowed`] refuses.
    pub fn full(&self, kind: Kind, netns: &NetnsName) -> Result<String, PrefixError> {
        let stem = self.stem(kind);
        let prefix = match self.namespace {
            NamespaceTag::Hash => format!("{stem}[{}] ", NetnsHash::of(netns)),
            NamespaceTag::Name => format!("{stem}[{netns}] "),
            NamespaceTag::None => format!("{stem} "),
        };
        if let Some(character) = prefix.chars().find(|&c| !allowed(c)) {
            return Err(PrefixError::Character { character });
        }
        if prefix.len() > MAX_PREFIX {
            return Err(PrefixError::TooLong { prefix });
        }
        Ok(prefix)
    }
}

/// Whether a character may stand in a prefix: quotes, backslashes and control characters would break log lines and
/// what `nft list` prints.
pub fn allowed(character: char) -> bool {
    !character.is_control() && !matches!(character, '"' | '\'' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(namespace: NamespaceTag) -> Prefixes {
        Prefixes { base: "[ANETCON]".into(), dnat: "[D]".into(), other: "[X]".into(), namespace }
    }

    #[test]
    fn the_hash_is_that_of_md5sum() {
        // printf %s qrouter-1 | md5sum
        assert_eq!(NetnsHash::of(&NetnsName::named("qrouter-1").unwrap()).as_str(), "d48368ae");
    }

    #[test]
    fn each_tag_gives_its_prefix() {
        let netns = NetnsName::root();
        let full = |tag| prefixes(tag).full(Kind::Float, &netns).unwrap();
        assert_eq!(full(NamespaceTag::Hash), "[ANETCON][D][c21f969b] ");
        assert_eq!(full(NamespaceTag::Name), "[ANETCON][D][default] ");
        assert_eq!(full(NamespaceTag::None), "[ANETCON][D] ");
    }

    #[test]
    fn a_long_or_odd_name_is_refused_never_cut() {
        let full = |name: &str| {
            prefixes(NamespaceTag::Name).full(Kind::Nat, &NetnsName::named(name).unwrap())
        };
        assert_eq!(full(&"a".repeat(111)).unwrap().len(), MAX_PREFIX);
        assert!(matches!(full(&"a".repeat(112)), Err(PrefixError::TooLong { .. })));
        assert!(matches!(full("a\nb"), Err(PrefixError::Character { character: '\n' })));
    }

    #[test]
    fn comments_name_their_kind() {
        assert_eq!(Kind::of_comment("anetcon float"), Some(Kind::Float));
        assert_eq!(Kind::of_comment("anetcon nat ipv6"), Some(Kind::Nat));
        assert_eq!(Kind::of_comment("anetcon native"), None);
        assert_eq!(Kind::of_comment("float"), None);
    }
}
