//! How a network namespace is named and told apart. Opening one is anetcon-netns's work.

use std::fmt;

/// The name that configuration, log lines and commands use for the root namespace.
pub const ROOT: &str = "default";

/// The name of a network namespace: a file name in a netns folder, or [`ROOT`].
///
/// A name is not an identity: it can be deleted and made again at once. The identity is the
/// [`NetnsCookie`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetnsName(String);

impl NetnsName {
    /// The root namespace, `default`.
    pub fn root() -> Self {
        Self(ROOT.to_owned())
    }

    /// A namespace as listed in a netns folder. `None` for what can be no named namespace: an empty
    /// name, `.` and `..`, a name with a slash, and `default`, which always means the root namespace.
    pub fn named(name: &str) -> Option<Self> {
        let refused =
            name.is_empty() || name == ROOT || name == "." || name == ".." || name.contains('/');
        (!refused).then(|| Self(name.to_owned()))
    }

    /// Whether this is the root namespace.
    pub fn is_root(&self) -> bool {
        self.0 == ROOT
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NetnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kernel's identity of a namespace: `SO_NETNS_COOKIE` (kernel 5.14), never used twice in one boot.
///
/// Inode numbers are no identity: a namespace deleted and made again often gets the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetnsCookie(pub u64);

impl fmt::Display for NetnsCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_file_names_are_namespace_names() {
        for refused in ["", ".", "..", "a/b", "default"] {
            assert_eq!(NetnsName::named(refused), None, "{refused:?}");
        }
        assert!(NetnsName::named("qrouter-1").is_some_and(|name| !name.is_root()));
        assert!(NetnsName::root().is_root());
    }
}
