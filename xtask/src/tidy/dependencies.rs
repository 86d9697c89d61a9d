//! Which crate may know which: core <- IO crates <- host <- binaries, as in crates/ARCHITECTURE.md.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Violation;

/// What one of our crates may depend on.
struct Allowed {
    name: &'static str,
    ours: &'static [&'static str],
    /// Crates of others that would break a promise of this one.
    never: &'static [&'static str],
}

/// Crates that do IO; the core decides and never does any.
const IO: &[&str] = &["tokio", "nix", "libc", "inotify", "rtnetlink", "nftnl", "mnl", "hyper"];
/// The C libraries that `cargo xtask setup` installs, so xtask itself must build without them.
const C_LIBRARIES: &[&str] = &["nftnl", "nftnl-sys", "mnl", "mnl-sys"];

const ALLOWED: &[Allowed] = &[
    Allowed { name: "anetcon-core", ours: &[], never: IO },
    Allowed { name: "anetcon-netlink", ours: &[], never: IO },
    Allowed { name: "anetcon-nft", ours: &["anetcon-core", "anetcon-netlink"], never: &[] },
    Allowed {
        name: "anetcon-conntrack",
        ours: &["anetcon-core", "anetcon-netlink"],
        never: &["nftnl", "mnl", "tokio"],
    },
    Allowed { name: "anetcon-netns", ours: &["anetcon-core"], never: &["nftnl", "mnl"] },
    Allowed { name: "anetcon-records", ours: &["anetcon-core"], never: &["nftnl", "mnl"] },
    Allowed {
        name: "anetcon-host",
        ours: &["anetcon-conntrack", "anetcon-core", "anetcon-nft", "anetcon-netns"],
        never: &[],
    },
    Allowed {
        name: "anetcon-config",
        ours: &["anetcon-core"],
        never: &["tokio", "nix", "nftnl", "mnl"],
    },
    Allowed { name: "anetcon-api", ours: &[], never: &["nftnl", "mnl"] },
    Allowed {
        name: "anetcond",
        ours: &[
            "anetcon-api",
            "anetcon-config",
            "anetcon-conntrack",
            "anetcon-core",
            "anetcon-host",
            "anetcon-netns",
            "anetcon-nft",
            "anetcon-records",
        ],
        never: &["nftnl", "mnl", "rtnetlink"],
    },
    Allowed {
        name: "anetconctl",
        ours: &["anetcon-api", "anetcon-config", "anetcon-core", "anetcon-host", "anetcon-records"],
        never: &["nftnl", "mnl", "rtnetlink"],
    },
    // Blind to the crates it tests, so that it cannot share their mistakes.
    Allowed { name: TESTKIT, ours: &["anetcon-api"], never: &[] },
    Allowed { name: "xtask", ours: &[], never: C_LIBRARIES },
];

const TESTKIT: &str = "anetcon-testkit";

/// Checks what `cargo metadata` says; `manifest` gives the text of a file by its path in the workspace.
///
/// # Errors
/// When the metadata is not what cargo prints or a manifest cannot be read.
pub fn check(
    metadata: &Value,
    root: &Path,
    manifest: impl Fn(&str) -> Result<String>,
) -> Result<Vec<Violation>> {
    let packages = metadata.get("packages").and_then(Value::as_array).context("no packages")?;
    // Only the crates of the workspace have no source.
    let ours: Vec<&Value> =
        packages.iter().filter(|one| one.get("source").is_none_or(Value::is_null)).collect();
    let names: Vec<&str> = ours.iter().filter_map(|one| text(one, "name")).collect();
    let mut found = Vec::new();
    for package in ours {
        let name = text(package, "name").context("a package without a name")?;
        let path = Path::new(text(package, "manifest_path").context("a package without a path")?);
        let path = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
        let Some(allowed) = ALLOWED.iter().find(|allowed| allowed.name == name) else {
            let rule = "this crate has no place yet among the dependency directions of xtask tidy";
            found.push(Violation::new(&path, 1, rule));
            continue;
        };
        let wrong = wrong(package, allowed, &names);
        if wrong.is_empty() {
            continue;
        }
        let manifest = manifest(&path)?;
        found.extend(wrong.into_iter().map(|(dependency, rule)| {
            let line = manifest.lines().position(|line| line.starts_with(dependency));
            Violation::new(&path, line.map_or(1, |index| index + 1), rule)
        }));
    }
    Ok(found)
}

/// The dependencies that may not be, each with the rule in words.
fn wrong<'a>(package: &'a Value, allowed: &Allowed, ours: &[&str]) -> Vec<(&'a str, String)> {
    let dependencies = package.get("dependencies").and_then(Value::as_array);
    let dependencies = dependencies.map(Vec::as_slice).unwrap_or_default();
    let named = dependencies.iter().filter_map(|one| Some((text(one, "name")?, text(one, "kind"))));
    named
        .filter_map(|(name, kind)| {
            let tests = kind == Some("dev") && name == TESTKIT && allowed.name != "xtask";
            let own = ours.contains(&name) && !allowed.ours.contains(&name) && !tests;
            let foreign = allowed.never.contains(&name) && kind != Some("dev");
            let rule = || format!("{} must not know {name}", allowed.name);
            (own || foreign).then(|| (name, rule()))
        })
        .collect()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::{ALLOWED, check};

    /// A workspace with every known crate, in which `name` depends on `dependency`.
    fn workspace(name: &str, dependency: &str, kind: Value) -> Value {
        let package = |one: &str| {
            let own = one == name;
            let dependencies = if own {
                vec![json!({ "name": dependency, "kind": kind.clone() })]
            } else {
                Vec::new()
            };
            json!({
                "name": one,
                "source": null,
                "manifest_path": format!("/w/crates/{one}/Cargo.toml"),
                "dependencies": dependencies,
            })
        };
        let names = ALLOWED.iter().map(|allowed| allowed.name).chain(["anetcon-new"]);
        json!({ "packages": names.filter(|one| *one != "anetcon-new" || name == *one).map(package).collect::<Vec<_>>() })
    }

    fn found(name: &str, dependency: &str, kind: Value) -> Vec<String> {
        let manifest = |_: &str| Ok(format!("[dependencies]\n\n{dependency}.workspace = true\n"));
        check(&workspace(name, dependency, kind), Path::new("/w"), manifest)
            .expect("the metadata is whole")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn forbidden_directions() {
        let normal = Value::Null;
        let cases = [
            ("anetcon-core", "tokio", normal.clone()),
            ("anetcon-core", "anetcon-nft", normal.clone()),
            ("anetcon-nft", "anetcon-netns", normal.clone()),
            ("anetcon-conntrack", "anetcon-nft", normal.clone()),
            ("anetcon-netlink", "nix", normal.clone()),
            ("anetconctl", "anetcon-nft", normal.clone()),
            ("anetcon-api", "anetcon-core", normal.clone()),
            ("anetcon-testkit", "anetcon-core", normal.clone()),
            ("anetcon-testkit", "anetcon-host", json!("dev")),
            ("anetcond", "anetcon-testkit", normal.clone()),
            ("xtask", "anetcon-api", normal.clone()),
            ("xtask", "anetcon-testkit", json!("dev")),
            ("xtask", "nftnl", normal),
        ];
        for (name, dependency, kind) in cases {
            let wanted = format!("crates/{name}/Cargo.toml:3: {name} must not know {dependency}");
            assert_eq!(found(name, dependency, kind), [wanted]);
        }
    }

    #[test]
    fn allowed_directions() {
        let cases = [
            ("anetcon-host", "anetcon-nft", Value::Null),
            ("anetconctl", "anetcon-host", Value::Null),
            ("anetcon-nft", "anetcon-testkit", json!("dev")),
            ("anetcon-core", "proptest", json!("dev")),
        ];
        for (name, dependency, kind) in cases {
            assert_eq!(found(name, dependency, kind), [""; 0], "{name} {dependency}");
        }
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        let found = found("anetcon-new", "serde", Value::Null);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("crates/anetcon-new/Cargo.toml:1:"), "{found:?}");
    }
}
