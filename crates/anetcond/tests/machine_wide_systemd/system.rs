//! Systems that are not this machine's, made once and kept with the build.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// What the tests need of another system beside the least there is.
const PACKAGES: &str = "--include=systemd,systemd-sysv,dbus,rsyslog,rsyslog-relp,openssl,logrotate,nftables,iptables,iproute2,procps,rpm,libnftnl11,libmnl0";

/// The root folder of a Debian 12, which has systemd 252.
pub fn bookworm() -> PathBuf {
    debian("bookworm")
}

/// The root folder of a Debian 13, which has systemd 257.
pub fn trixie() -> PathBuf {
    debian("trixie")
}

fn debian(suite: &str) -> PathBuf {
    // Several tests ask at once, and it is made once.
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{suite}-whole"));
    // One that was made of other packages is made anew.
    let made_of = root.with_extension("packages");
    if fs::read_to_string(&made_of).unwrap_or_default() != PACKAGES {
        let _ = fs::remove_dir_all(&root);
        let new = root.with_extension(std::process::id().to_string());
        let made = Command::new("mmdebstrap")
            .args(["--variant=minbase", PACKAGES, suite])
            .arg(&new)
            .output()
            .expect("mmdebstrap is installed");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "a Debian {suite} cannot be made: {said}");
        // Whole or not at all.
        fs::rename(&new, &root).expect("the folder is moved");
        fs::write(&made_of, PACKAGES).expect("written");
    }
    root
}
