//! What may lie in the workspace's folder: a newcomer sees the whole of it at once.

use super::Violation;

const ALLOWED: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "conf",
    "crates",
    "deny.toml",
    "docs",
    "logrotate",
    "rsyslog",
    "systemd",
    "target",
    "xtask",
];

/// Checks the names of the entries; those that begin with a dot are settings of tools.
pub fn check(names: &[String]) -> Vec<Violation> {
    names
        .iter()
        .filter(|name| !name.starts_with('.') && !ALLOWED.contains(&name.as_str()))
        .map(|name| {
            Violation::new(name, 1, "this does not belong into the folder of the workspace")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn only_known_entries_and_dot_files() {
        let names = [".cargo", "Cargo.toml", "notes.txt", "crates"].map(str::to_owned);
        let found: Vec<String> = check(&names).into_iter().map(|one| one.file).collect();
        assert_eq!(found, ["notes.txt"]);
    }
}
