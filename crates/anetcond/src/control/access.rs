//! Who may do what: root and group adm may read, root may write.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use anyhow::Context;
use nix::unistd::{Group, geteuid};
use tokio::net::UnixStream;

/// The group that may read, as for log files on Debian.
const READERS: &str = "adm";

/// The process at the other end, as the kernel names it (`SO_PEERCRED`).
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    uid: u32,
}

impl Peer {
    /// Who connected.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        Ok(Self { uid: stream.peer_cred()?.uid() })
    }

    /// Root, and the user the agent runs as: both could do it without us.
    pub fn may_write(self) -> bool {
        self.uid == 0 || self.uid == geteuid().as_raw()
    }
}

/// Lets root and group adm connect, and nobody else: whoever can connect may read.
pub fn restrict(path: &Path) -> anyhow::Result<()> {
    let group = Group::from_name(READERS).ok().flatten().map(|group| group.gid.as_raw());
    // Without the group, or without the right to give files to it, root alone may connect. The service runs
    // with this group already and may not call chown(2) at all.
    let belongs = |gid| fs::metadata(path).is_ok_and(|file| file.gid() == gid);
    let shared = group.is_some_and(|gid| belongs(gid) || chown(path, None, Some(gid)).is_ok());
    let mode = if shared { 0o660 } else { 0o600 };
    fs::set_permissions(path, Permissions::from_mode(mode))
        .with_context(|| format!("cannot restrict access to {}", path.display()))
}
