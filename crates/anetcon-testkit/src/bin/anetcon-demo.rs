//! The demo behind `cargo xtask demo`: what needs root, as a binary of its own.
//!
//! xtask must build on a machine without libnftnl, so it cannot link the testkit; it builds this
//! binary after its set-up and starts it with root's rights. Agent and CLI are found beside it.

#![forbid(unsafe_code)]

use std::env;
use std::process::ExitCode;

use anyhow::{Context, Result};

fn main() -> ExitCode {
    match show() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nanetcon-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn show() -> Result<()> {
    let own = env::current_exe().context("cannot tell where this binary is")?;
    let binaries = own.parent().context("this binary has no folder")?;
    anetcon_testkit::demo::run(binaries)
}
