//! The Python package that tests need, in a folder of its own below the target folder.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::process;

/// A current ClickHouse engine as a library, with its version: no distribution has one.
const PACKAGE: &str = "chdb==4.4.0";
const BY_HAND: &str = "is the Python package index within reach? PIP_INDEX_URL names another one";

/// Installs it where it is missing, as the calling user.
///
/// # Errors
/// When Python's tools fail; they have said why.
pub fn install() -> Result<()> {
    let folder = process::target_directory()?.join("tmp/chdb");
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == PACKAGE) {
        return Ok(());
    }
    println!("installing {PACKAGE}, a ClickHouse engine (900 MB), in {}", folder.display());
    make(&folder).with_context(|| format!("cannot install {PACKAGE}; {BY_HAND}"))?;
    fs::write(&stamp, PACKAGE).with_context(|| format!("cannot write {}", stamp.display()))
}

fn make(folder: &Path) -> Result<()> {
    let mut venv = Command::new("python3");
    process::run(venv.args(["-m", "venv", "--clear"]).arg(folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    process::run(pip.args(["-m", "pip", "install", "--quiet", PACKAGE]))
}
