//! The licences of everything that is linked into the binaries, as their authors ask to have them passed on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;

/// Files of a crate that hold its terms, by how their names begin.
const TERMS: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

const HEAD: &str = "\
anetcond and anetconctl link libnftnl (GPL-2.0-or-later) and libmnl (LGPL-2.1-or-later) when they are started, and contain the Rust
crates below. Each is named with its licence; the texts follow, each once.

";

/// The text that goes with the binaries.
///
/// # Errors
/// When cargo fails, or a crate's folder cannot be read.
pub fn notices() -> Result<String> {
    let linked = linked()?;
    let metadata = process::metadata()?;
    let empty = Vec::new();
    let packages = metadata.get("packages").and_then(Value::as_array).unwrap_or(&empty);
    let mut list = String::from(HEAD);
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages {
        let word = |key| package.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = format!("{} {}", word("name"), word("version"));
        if !linked.contains(&name) || word("source").is_empty() {
            continue;
        }
        writeln!(list, "{name}: {}", word("license"))?;
        let folder =
            Path::new(word("manifest_path")).parent().context("a manifest has a folder")?;
        for text in terms(folder)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    for (text, names) in texts {
        writeln!(list, "\n{}\n{}\n\n{}", "-".repeat(72), names.join(", "), text.trim())?;
    }
    Ok(list)
}

/// Name and version of every crate in the two binaries, without what only builds or tests them.
fn linked() -> Result<BTreeSet<String>> {
    let output = process::cargo()
        .args(["tree", "--locked", "--prefix=none", "--edges=normal,no-proc-macro"])
        .args(["--format={p}", "--package=anetcond", "--package=anetconctl"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo tree")?;
    ensure!(output.status.success(), "cargo tree failed ({})", output.status);
    let text = String::from_utf8(output.stdout).context("cargo tree prints text")?;
    let named = |line: &str| {
        let mut words = line.split(' ');
        let (name, version) = words.next().zip(words.next())?;
        Some(format!("{name} {}", version.trim_start_matches('v')))
    };
    Ok(text.lines().filter_map(named).collect())
}

fn terms(folder: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut texts = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().to_uppercase();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && TERMS.iter().any(|begin| name.starts_with(begin)) {
            texts.push(String::from_utf8_lossy(&fs::read(entry.path())?).into_owned());
        }
    }
    texts.sort();
    Ok(texts)
}
