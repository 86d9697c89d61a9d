//! `cargo xtask tidy`: the house rules that neither rustc nor clippy knows.
//!
//! Every rule is a function from text or data to violations, so that its tests need no files.

mod dependencies;
mod layout;
mod licences;
mod source;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::process;

/// Arguments of `cargo xtask tidy`: none.
#[derive(Args)]
pub struct Tidy {}

impl Tidy {
    /// Checks every rule.
    pub fn run(self) -> Result<()> {
        check()?;
        println!("tidy: every rule holds");
        Ok(())
    }
}

/// A place and the rule it breaks.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    file: String,
    line: usize,
    rule: String,
}

impl Violation {
    fn new(file: &str, line: usize, rule: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, rule: rule.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.rule)
    }
}

/// Checks the workspace and prints what is wrong.
///
/// # Errors
/// When a rule is broken, or something cannot be read.
pub fn check() -> Result<()> {
    let root = process::workspace();
    let metadata = process::metadata()?;
    let manifest = |package: &str| read(&root, Path::new(package));
    let mut violations = layout::check(&names(&root)?);
    for file in files(&root)? {
        // A file that is not text has no lines to check.
        if let Ok(text) = fs::read_to_string(root.join(&file)) {
            violations.extend(source::check(&file, &text));
        }
    }
    violations.extend(dependencies::check(&metadata, &root, manifest)?);
    let policy = licences::Policy::parse(&read(&root, Path::new("deny.toml"))?)?;
    violations.extend(licences::check(&metadata, &policy)?);
    for violation in &violations {
        println!("{violation}");
    }
    ensure!(violations.is_empty(), "{} places break a house rule", violations.len());
    Ok(())
}

fn read(root: &Path, file: &Path) -> Result<String> {
    fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {}", file.display()))
}

/// The entries of the workspace's folder.
fn names(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root).with_context(|| format!("cannot list {}", root.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Every file that belongs to the source, relative to the root, without what was built.
fn files(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for name in names(&root.join(&folder))? {
            let path = folder.join(&name);
            let full = root.join(&path);
            let skipped = matches!(name.as_str(), "target" | ".git");
            if full.is_dir() && !skipped {
                folders.push(path);
            } else if full.is_file() {
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}
