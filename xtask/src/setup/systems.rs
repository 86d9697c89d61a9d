//! The other systems that tests boot: made once, and kept below the target folder.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::process::{self, Elevation};

/// A Debian 12, which has systemd 252, and a Debian 13, which has 257.
const SUITES: [&str; 2] = ["bookworm", "trixie"];

/// What the tests need of them beside the least there is.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,rsyslog,rsyslog-relp,openssl,logrotate,nftables,iptables,iproute2,procps,rpm,libnftnl11,libmnl0";

/// A mirror that once does not answer is asked again.
const RETRIES: &str = "Acquire::Retries \"5\"";

/// Makes those that are missing, or were made of other packages; as root, whose files they are.
///
/// # Errors
/// When there is no way to become root, or mmdebstrap fails; it has said why.
pub fn make(elevation: Elevation) -> Result<()> {
    let folder = process::target_directory()?.join("tmp");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    SUITES.iter().try_for_each(|suite| one(&folder, suite, elevation))
}

fn one(folder: &Path, suite: &str, elevation: Elevation) -> Result<()> {
    let root = folder.join(format!("{suite}-whole"));
    let made_of = root.with_extension("packages");
    if fs::read_to_string(&made_of).is_ok_and(|packages| packages == PACKAGES) {
        return Ok(());
    }
    println!("making a Debian {suite} for the tests in {}", root.display());
    let as_root = |program| elevation.command(program).context("making a system needs root");
    let new = root.with_extension("new");
    let mut remove = as_root("rm")?;
    process::run(remove.args(["--recursive", "--force", "--one-file-system"]).args([&root, &new]))?;
    let mut make = as_root("mmdebstrap")?;
    make.args(["--quiet", "--variant=minbase", "--aptopt", RETRIES, "--include", PACKAGES]);
    process::run(make.arg(suite).arg(&new))?;
    // Whole or not at all.
    fs::rename(&new, &root).with_context(|| format!("cannot name {}", root.display()))?;
    fs::write(&made_of, PACKAGES).with_context(|| format!("cannot write {}", made_of.display()))
}
