//! Which test executables there are, from cargo's own messages about the build.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::process;

/// One built test executable and what cargo would give it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executable {
    /// `package` for unit tests, `package::target` for the others.
    pub name: String,
    pub program: PathBuf,
    /// The package's folder: working directory and `CARGO_MANIFEST_DIR`, as under `cargo test`.
    pub directory: PathBuf,
    pub package: String,
    /// Changes something that the whole machine shares, so it runs by itself after the others.
    pub machine_wide: bool,
}

/// Builds the tests and gives the executables whose name contains `part`. When that begins with a
/// package's name, only that package is built.
///
/// # Errors
/// When the build fails or nothing has such a name.
pub fn build(part: &str) -> Result<Vec<Executable>> {
    let mut command = process::cargo();
    command.args(["test", "--quiet", "--no-run"]);
    match part.split("::").next().filter(|name| is_package(name)) {
        Some(name) => command.arg(format!("--package={name}")),
        None => command.arg("--workspace"),
    };
    command.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let line = process::shown(&command);
    let mut child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut found = Vec::new();
    for message in BufReader::new(output).lines() {
        found.extend(executable(&serde_json::from_str(&message?)?));
    }
    ensure!(child.wait()?.success(), "`{line}` failed");
    found.retain(|executable| executable.name.contains(part));
    ensure!(!found.is_empty(), "no check and no test executable is called {part:?}");
    found.sort_by(|one, other| {
        (one.machine_wide, &one.name).cmp(&(other.machine_wide, &other.name))
    });
    Ok(found)
}

fn is_package(name: &str) -> bool {
    let folder = if name == "xtask" { PathBuf::new() } else { PathBuf::from("crates") };
    !name.is_empty() && process::workspace().join(folder).join(name).join("Cargo.toml").is_file()
}

fn executable(message: &Value) -> Option<Executable> {
    let text = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
    if text("/reason")? != "compiler-artifact" || !message.pointer("/profile/test")?.as_bool()? {
        return None;
    }
    let program = PathBuf::from(text("/executable")?);
    let directory = Path::new(text("/manifest_path")?).parent()?.to_owned();
    // The id ends in `#name@version`, or in `/name#version` when the folder is called like the package.
    let (path, last) = text("/package_id")?.rsplit_once('#')?;
    let package = match last.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next()?,
    };
    let target = text("/target/name")?;
    let name = match text("/target/kind/0")? {
        "lib" | "proc-macro" => package.to_owned(),
        "bin" if target == package => package.to_owned(),
        _ => format!("{package}::{target}"),
    };
    let machine_wide = target.starts_with("machine_wide");
    Some(Executable { name, program, directory, package: package.to_owned(), machine_wide })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::executable;

    fn message(kind: &str, target: &str, test: bool) -> serde_json::Value {
        json!({
            "reason": "compiler-artifact",
            "package_id": "path+file:///w/crates/anetcond#0.1.0",
            "manifest_path": "/w/crates/anetcond/Cargo.toml",
            "target": { "kind": [kind], "name": target },
            "profile": { "test": test },
            "executable": "/w/target/debug/deps/x-1",
        })
    }

    #[test]
    fn names_say_package_and_target() {
        let cases = [
            ("bin", "anetcond", "anetcond", false),
            ("test", "repair", "anetcond::repair", false),
            ("test", "machine_wide", "anetcond::machine_wide", true),
            ("test", "machine_wide_boot", "anetcond::machine_wide_boot", true),
        ];
        for (kind, target, name, machine_wide) in cases {
            let found = executable(&message(kind, target, true)).expect("a test executable");
            assert_eq!((found.name.as_str(), found.machine_wide), (name, machine_wide));
            assert_eq!(found.directory.to_str(), Some("/w/crates/anetcond"));
        }
        assert_eq!(executable(&message("bin", "anetcond", false)), None);
        assert_eq!(executable(&json!({ "reason": "build-finished" })), None);
    }
}
