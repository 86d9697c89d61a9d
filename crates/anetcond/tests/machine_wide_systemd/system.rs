//! Systems that are not this machine's. `cargo xtask setup` makes them.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};

/// The root folder of a Debian 12, which has systemd 252.
pub fn bookworm() -> PathBuf {
    debian("bookworm")
}

/// The root folder of a Debian 13, which has systemd 257.
pub fn trixie() -> PathBuf {
    debian("trixie")
}

fn debian(suite: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{suite}-whole"));
    // Written last.
    let whole = root.with_extension("packages").is_file();
    assert!(whole, "there is no Debian {suite}: run `cargo xtask setup`");
    root
}
