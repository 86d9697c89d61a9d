//! Claims on a setting that agents see of each other: abstract Unix sockets, listed in /proc/net/unix.
//!
//! The kernel takes them away with the process, however it ends, so no claim is ever stale. Their names are
//! `anetcon<path of the setting>/was=<0|1>/<pid>-<counter>`. Anybody can make such a socket; one counts
//! only if root or the agent's own user listens on it.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt,
};
use nix::unistd::{Uid, geteuid};

/// The claims on one setting.
#[derive(Debug)]
pub(super) struct Claims {
    prefix: String,
}

/// A claim of ours, or the lock: in force as long as the socket is open.
#[derive(Debug)]
pub(super) struct Claim {
    socket: UnixListener,
}

impl AsFd for Claim {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A claim of another agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Other {
    /// The setting before the first agent came. `None` when the claim's owner cannot be told: it then
    /// keeps the setting on, but is not believed.
    pub(super) before: Option<bool>,
}

/// The lock is held for microseconds. One held for longer is somebody's mischief and is passed over, for
/// all that it guards against is two agents starting in the same microseconds.
const LOCK_DEADLINE: Duration = Duration::from_secs(1);

impl Claims {
    pub(super) fn on(path: &Path) -> Self {
        Self { prefix: format!("anetcon{}/", path.display()) }
    }

    /// Keeps other agents from looking and claiming.
    pub(super) fn lock(&self) -> io::Result<Option<Claim>> {
        let start = Instant::now();
        loop {
            match listen(&format!("{}lock", self.prefix)) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                other => return other.map(Some),
            }
            if start.elapsed() > LOCK_DEADLINE {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Makes a claim of ours.
    pub(super) fn claim(&self, before: bool) -> io::Result<Claim> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
        let was = u8::from(before);
        listen(&format!("{}was={was}/{}-{counter}", self.prefix, std::process::id()))
    }

    /// The claims there are. Ours are among them.
    pub(super) fn others(&self) -> io::Result<Vec<Other>> {
        let sockets = fs::read_to_string("/proc/net/unix")?;
        let names = sockets.lines().filter_map(listening_abstract_name);
        Ok(names.filter_map(|name| self.examine(name)).collect())
    }

    fn examine(&self, name: &str) -> Option<Other> {
        let before = before_from(name.strip_prefix(&self.prefix)?)?;
        match listener(name) {
            Ok(uid) => {
                (uid.is_root() || uid == geteuid()).then_some(Other { before: Some(before) })
            }
            // It was given up meanwhile.
            Err(Errno::ECONNREFUSED) => None,
            Err(_) => Some(Other { before: None }),
        }
    }
}

fn listen(name: &str) -> io::Result<Claim> {
    let address = SocketAddr::from_abstract_name(name)?;
    Ok(Claim { socket: UnixListener::bind_addr(&address)? })
}

/// Who listens there. Never waits: a full queue, which anybody can bring about, is an error.
fn listener(name: &str) -> nix::Result<Uid> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    Ok(Uid::from_raw(getsockopt(&socket, sockopt::PeerCredentials)?.uid()))
}

/// `was=0/12-0`.
fn before_from(rest: &str) -> Option<bool> {
    match rest.strip_prefix("was=")?.split_once('/')?.0 {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// The name in a line of /proc/net/unix (`Num RefCount Protocol Flags Type St Inode Path`), without the `@`
/// that marks an abstract one. Connections waiting to be accepted carry their listener's name, too;
/// only the listener has __SO_ACCEPTCON in its flags.
fn listening_abstract_name(line: &str) -> Option<&str> {
    const ACCEPTS_CONNECTIONS: u32 = 1 << 16;
    let mut fields = line.split_ascii_whitespace().skip(3);
    let flags = u32::from_str_radix(fields.next()?, 16).ok()?;
    let path = fields.nth(3)?;
    (flags & ACCEPTS_CONNECTIONS != 0).then_some(path)?.strip_prefix('@')
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "another user is another process")]
mod tests {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use anetcon_testkit::netns::wait_until;

    use super::*;

    #[test]
    fn only_listening_abstract_sockets_count() {
        let cases = [
            (
                "0000: 00000002 00000000 00010000 0001 01 77 @anetcon/x/was=0/1-0",
                Some("anetcon/x/was=0/1-0"),
            ),
            ("0000: 00000003 00000000 00000000 0001 02 0 @anetcon/x/was=0/1-0", None),
            ("0000: 00000002 00000000 00010000 0001 01 77 /run/anetcon/x", None),
            ("0000: 00000002 00000000 00010000 0001 01 77", None),
            ("Num       RefCount Protocol Flags    Type St Inode Path", None),
        ];
        for (line, name) in cases {
            assert_eq!(listening_abstract_name(line), name, "{line}");
        }
    }

    #[test]
    fn a_claim_is_seen_while_it_is_held() {
        let directory = tempfile::tempdir().unwrap();
        let claims = Claims::on(directory.path());
        assert_eq!(claims.others().unwrap(), []);
        let claim = claims.claim(false).unwrap();
        assert_eq!(claims.others().unwrap(), [Other { before: Some(false) }]);
        drop(claim);
        assert_eq!(claims.others().unwrap(), []);
    }

    #[test]
    fn the_claim_of_another_user_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let claims = Claims::on(directory.path());
        let name = format!("{}was=0/1-0", claims.prefix);
        // Not by its path, which the other user may not be allowed to walk.
        let mut forger = Command::new("/proc/self/exe")
            .args(["--exact", "sysctl::claims::tests::forge"])
            .env(FORGED, &name)
            .uid(65534)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the forged claim", Duration::from_secs(20), || listener(&name).is_ok());
        let others = claims.others().unwrap();
        drop(forger.stdin.take());
        forger.wait().unwrap();
        assert_eq!(others, []);
    }

    const FORGED: &str = "ANETCON_TEST_FORGED_CLAIM";

    /// The other user of the test above; does nothing by itself.
    #[test]
    fn forge() {
        let Ok(name) = std::env::var(FORGED) else { return };
        let _socket = listen(&name).unwrap();
        io::stdin().read_to_string(&mut String::new()).unwrap();
    }

    #[test]
    fn a_claim_with_a_full_queue_counts_but_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let claims = Claims::on(directory.path());
        let name = format!("{}was=1/1-0", claims.prefix);
        let _claim = listen(&name).unwrap();
        while listener(&name).is_ok() {}
        assert_eq!(claims.others().unwrap(), [Other { before: None }]);
    }
}
