//! Licences, banned crates and sources of everything we build, by the policy in deny.toml.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::Violation;

const FILE: &str = "deny.toml";
/// What cargo calls its default registry; nobody else's code has another source here.
const SOURCE: &str = "registry+https://github.com/rust-lang/";

/// The part of deny.toml that is enforced here.
#[derive(Deserialize)]
pub struct Policy {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

impl Policy {
    /// Reads the policy.
    ///
    /// # Errors
    /// When the text is not TOML with these tables.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).with_context(|| format!("{FILE} is not understood"))
    }
}

/// Checks every package that `cargo metadata` names.
///
/// # Errors
/// When the metadata is not what cargo prints.
pub fn check(metadata: &Value, policy: &Policy) -> Result<Vec<Violation>> {
    let packages = metadata.get("packages").and_then(Value::as_array).context("no packages")?;
    Ok(packages.iter().flat_map(|package| package_rules(package, policy)).collect())
}

fn package_rules(package: &Value, policy: &Policy) -> Vec<Violation> {
    let text = |key: &str| package.get(key).and_then(Value::as_str);
    let name = text("name").unwrap_or("?");
    let mut rules = Vec::new();
    if let Some(ban) = policy.bans.deny.iter().find(|ban| ban.name == name) {
        rules.push(format!("crate {name} is banned: {}", ban.reason));
    }
    let licence = text("license").unwrap_or("none");
    if !Expression::new(licence, &policy.licenses.allow).allowed() {
        rules.push(format!("crate {name}: its licence {licence:?} is not on the list"));
    }
    if text("source").is_some_and(|source| !source.starts_with(SOURCE)) {
        rules.push(format!("crate {name} does not come from the default registry"));
    }
    rules.into_iter().map(|rule| Violation::new(FILE, 1, rule)).collect()
}

/// An SPDX licence expression while it is read: `or` binds weaker than `and`, `/` is an old `or`.
struct Expression<'a> {
    words: Vec<String>,
    next: usize,
    allow: &'a [String],
}

impl<'a> Expression<'a> {
    fn new(text: &str, allow: &'a [String]) -> Self {
        let spaced = text.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words = spaced.split_whitespace().map(str::to_owned).collect();
        Self { words, next: 0, allow }
    }

    /// Whether the list allows it; an expression that is not understood is not allowed.
    fn allowed(mut self) -> bool {
        self.any() && self.next == self.words.len()
    }

    fn any(&mut self) -> bool {
        let mut allowed = self.every();
        while self.eat("OR") {
            allowed |= self.every();
        }
        allowed
    }

    fn every(&mut self) -> bool {
        let mut allowed = self.one();
        while self.eat("AND") {
            allowed &= self.one();
        }
        allowed
    }

    fn one(&mut self) -> bool {
        if self.eat("(") {
            return self.any() & self.eat(")");
        }
        let Some(mut licence) = self.word() else {
            return false;
        };
        if self.eat("WITH") {
            let exception = self.word().unwrap_or_default();
            licence = format!("{licence} WITH {exception}");
        }
        self.allow.contains(&licence)
    }

    fn word(&mut self) -> Option<String> {
        let word = self.words.get(self.next).cloned();
        self.next += usize::from(word.is_some());
        word
    }

    fn eat(&mut self, word: &str) -> bool {
        let here = self.words.get(self.next).is_some_and(|one| one == word);
        self.next += usize::from(here);
        here
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Expression, Policy, check};

    const POLICY: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"]
        [bans]
        deny = [{ crate = "rustables", reason = "GPL" }]
    "#;

    #[test]
    fn licence_expressions() {
        let policy = Policy::parse(POLICY).expect("the policy is whole");
        let cases = [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0-or-later", false),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0 OR MIT", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(MIT OR Apache-2.0) AND GPL-2.0", false),
            ("MIT OR Apache-2.0 AND GPL-2.0", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("none", false),
            ("", false),
        ];
        for (text, wanted) in cases {
            let allowed = Expression::new(text, &policy.licenses.allow).allowed();
            assert_eq!(allowed, wanted, "{text:?}");
        }
    }

    #[test]
    fn bans_licences_and_sources() {
        let policy = Policy::parse(POLICY).expect("the policy is whole");
        let registry = format!("{}index", super::SOURCE);
        let cases = [
            (json!({ "name": "a", "license": "MIT", "source": registry }), None),
            (json!({ "name": "rustables", "license": "MIT", "source": registry }), Some("banned")),
            (json!({ "name": "a", "license": "GPL-3.0", "source": registry }), Some("on the list")),
            (json!({ "name": "a", "license": null, "source": registry }), Some("on the list")),
            (json!({ "name": "a", "license": "MIT", "source": "git+https://x" }), Some("registry")),
        ];
        for (package, wanted) in cases {
            let found = check(&json!({ "packages": [package] }), &policy).expect("packages");
            assert_eq!(found.len(), usize::from(wanted.is_some()), "{package}: {found:?}");
            for violation in found {
                assert!(violation.rule.contains(wanted.unwrap_or_default()), "{violation}");
            }
        }
    }
}
