//! Which namespaces are audited: the patterns of `namespaces`.
//!
//! Several patterns are alternatives, as in the old script: one match is enough.

use std::fmt;

use regex::Regex;

use crate::netns::{NetnsName, ROOT};

/// The checked list of `namespaces`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The patterns in the order in which they were given.
    pub patterns: Vec<Pattern>,
}

impl Selection {
    /// Whether a namespace is audited.
    pub fn matches(&self, netns: &NetnsName) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(netns))
    }
}

/// One entry of `namespaces`.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// The literal word `default`: the root namespace and nothing else.
    Root,
    /// A regular expression over the names of named namespaces, unanchored like grep's. It never
    /// matches the root namespace: `.*` must not audit the host by accident.
    Names(Regex),
}

impl Pattern {
    /// Reads one entry.
    ///
    /// # Errors
    /// What the regex crate has against the text: its syntax or its compiled size.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        if text == ROOT {
            return Ok(Self::Root);
        }
        Regex::new(text).map(Self::Names)
    }

    /// The entry as it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Root => ROOT,
            Self::Names(regex) => regex.as_str(),
        }
    }

    fn matches(&self, netns: &NetnsName) -> bool {
        match self {
            Self::Root => netns.is_root(),
            Self::Names(regex) => !netns.is_root() && regex.is_match(netns.as_str()),
        }
    }
}

/// Two patterns are the same if their texts are: a [`Regex`] has no equality of its own.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(patterns: &[&str], name: &str) -> bool {
        let patterns = patterns.iter().map(|text| Pattern::new(text).unwrap()).collect();
        let netns = NetnsName::named(name).unwrap_or_else(NetnsName::root);
        Selection { patterns }.matches(&netns)
    }

    #[test]
    fn patterns_select_as_grep_does() {
        let cases: [(&[&str], &str, bool); 9] = [
            (&["^qrouter-.*$"], "qrouter-1", true),
            (&["^qrouter-.*$"], "xqrouter-1", false),
            (&["router"], "qrouter-1", true),
            (&["QROUTER"], "qrouter-1", false),
            (&["^a", "^b"], "b1", true),
            (&["^a", "^b"], "c1", false),
            (&["default"], "default-gw", false),
            (&["default", "gw$"], "default-gw", true),
            (&[], "qrouter-1", false),
        ];
        for (patterns, name, selected) in cases {
            assert_eq!(matches(patterns, name), selected, "{patterns:?} on {name}");
        }
    }

    #[test]
    fn only_its_own_word_selects_the_root_namespace() {
        assert!(matches(&["^x$", "default"], "default"));
        for pattern in [".*", "^default$", "^d", "default|x", ""] {
            assert!(!matches(&[pattern], "default"), "{pattern:?}");
        }
    }

    #[test]
    fn patterns_are_equal_by_their_text() {
        let pattern = |text| Pattern::new(text).unwrap();
        assert_eq!(pattern("^a"), pattern("^a"));
        assert_ne!(pattern("^a"), pattern("^b"));
        assert_ne!(pattern("default"), pattern("^default"));
    }
}
