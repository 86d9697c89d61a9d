//! Throw-away network namespaces for tests: made and removed without starting a process.
//!
//! Everything here panics with a sentence when it fails, because a test cannot go on without it. The
//! code under test must not be used for it, so nothing of anetcon-netns appears here.
#![allow(clippy::panic, reason = "a test that cannot be set up ends here, with the reason")]
#![allow(clippy::disallowed_methods, reason = "tests start the programs they compare with")]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::geteuid;
use rtnetlink::LinkUnspec;

/// Where iproute2 keeps named namespaces.
pub const DIRECTORY: &str = "/run/netns";

/// The loopback interface is the first one the kernel makes in every namespace.
const LOOPBACK_INDEX: u32 = 1;

/// A named network namespace that lives as long as this value.
///
/// Dropping it takes the name away, as `ip netns del` does; the kernel frees the namespace when nothing
/// else holds it. A test may delete the name itself before that.
#[derive(Debug)]
pub struct Netns {
    name: String,
    path: PathBuf,
}

impl Netns {
    /// A new namespace in [`DIRECTORY`] with a name of its own: `at-<label>-<pid>-<counter>`.
    pub fn new(label: &str) -> Self {
        Self::named(&unique(label))
    }

    /// A new namespace in [`DIRECTORY`] with exactly this name, which must be free.
    pub fn named(name: &str) -> Self {
        prepare_directory();
        Self::in_directory(Path::new(DIRECTORY), name)
    }

    /// A new namespace with this name in a folder of the test's own, which must exist.
    pub fn in_directory(directory: &Path, name: &str) -> Self {
        require_root();
        // The guard exists before the namespace does: whatever goes wrong in between is cleaned up.
        let netns = Self { name: name.to_owned(), path: directory.join(name) };
        make_mount_point(&netns.path);
        on_own_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
            bind(Path::new("/proc/thread-self/ns/net"), &netns.path)
        })
        .unwrap_or_else(|error| panic!("cannot make namespace {name}: {error}"));
        netns
    }

    /// The name: the file's name in its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for the namespace.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `job` on a new thread inside the namespace and returns its value; a panic of `job` goes on
    /// in the caller. Sockets that `job` returns stay in the namespace (and keep it alive).
    pub fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        on_own_thread(|| {
            self.enter();
            job()
        })
    }

    /// A command that will run inside the namespace, with the file system of the host.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path.display())).arg("--").arg(program);
        command
    }

    /// Brings the loopback interface up; a new namespace has it down.
    pub fn bring_lo_up(&self) {
        self.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap_or_else(|error| panic!("cannot start a runtime: {error}"));
            runtime.block_on(set_link_up(LOOPBACK_INDEX));
        });
    }

    /// Something that shows when the kernel frees this namespace, which must be in [`DIRECTORY`].
    pub fn witness(&self) -> Witness {
        let netns = Self::new("witness");
        let made = Command::new("ip")
            .args(["-n", &netns.name, "link", "add", WITNESS, "type", "veth"])
            .args(["peer", "name", WITNESS, "netns", &self.name])
            .status();
        assert!(made.is_ok_and(|status| status.success()), "cannot make a veth pair");
        Witness { netns }
    }

    fn enter(&self) {
        let file = File::open(&self.path)
            .unwrap_or_else(|error| panic!("cannot open {}: {error}", self.path.display()));
        setns(file, CloneFlags::CLONE_NEWNET)
            .unwrap_or_else(|error| panic!("cannot enter {}: {error}", self.path.display()));
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // Errors mean that the test, or the program it tests, was faster; nothing is left then.
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
        let _ = fs::remove_file(&self.path);
    }
}

const WITNESS: &str = "witness";

/// The other end of a veth pair into a namespace. The kernel removes both ends when it frees that
/// namespace, and not while any file or socket keeps it alive.
#[derive(Debug)]
pub struct Witness {
    netns: Netns,
}

impl Witness {
    /// Whether the namespace has been freed.
    pub fn saw_it_freed(&self) -> bool {
        let devices = self.netns.run(|| fs::read_to_string("/proc/thread-self/net/dev"));
        !devices.unwrap_or_else(|error| panic!("cannot read interfaces: {error}")).contains(WITNESS)
    }
}

/// A name that no other test of this machine uses now: `at-<tag>-<pid>-<counter>`.
pub fn unique(tag: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("at-{tag}-{}-{counter}", std::process::id())
}

/// Ends the test with a clear sentence unless it runs as root.
pub fn require_root() {
    assert!(
        geteuid().is_root(),
        "this test makes network namespaces: run it as root (`cargo xtask test` does)"
    );
}

/// What a condition given to [`wait_until`] may answer: `bool`, or an `Option` with a value to keep.
pub trait Answer {
    /// What [`wait_until`] returns.
    type Value;
    /// The value, once the condition holds.
    fn into_value(self) -> Option<Self::Value>;
}

impl Answer for bool {
    type Value = ();
    fn into_value(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Answer for Option<T> {
    type Value = T;
    fn into_value(self) -> Option<T> {
        self
    }
}

/// Asks `condition` again and again until it holds, and panics naming `what` after `deadline`.
///
/// The deadline is only there to end a broken test; give it seconds, not milliseconds.
pub fn wait_until<A: Answer>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> A,
) -> A::Value {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(value) = condition().into_value() {
            return value;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain: {what}");
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Makes [`DIRECTORY`] as iproute2 does: a shared mount of its own, so that namespaces made in one mount
/// namespace are seen in the others. The lock is the one iproute2 takes, so that nobody mounts twice.
pub fn prepare_directory() {
    require_root();
    let directory = Path::new(DIRECTORY);
    let prepared = || -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let lock = Flock::lock(File::open(directory)?, FlockArg::LockExclusive);
        let _lock = lock.map_err(|(_, errno)| io::Error::from(errno))?;
        // EINVAL: not a mount point yet.
        match share(directory) {
            Err(Errno::EINVAL) => {
                bind(directory, directory)?;
                Ok(share(directory)?)
            }
            other => Ok(other?),
        }
    };
    prepared().unwrap_or_else(|error| panic!("cannot prepare {DIRECTORY}: {error}"));
}

fn share(directory: &Path) -> nix::Result<()> {
    let flags = MsFlags::MS_SHARED | MsFlags::MS_REC;
    mount(None::<&str>, directory, None::<&str>, flags, None::<&str>)
}

fn bind(source: &Path, target: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(source), target, None::<&str>, flags, None::<&str>)?)
}

fn make_mount_point(path: &Path) {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o0)
        .open(path)
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
}

/// Changes of namespace stay on a thread that ends with the job, so no test thread is ever moved.
fn on_own_thread<T: Send>(job: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(job).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn set_link_up(index: u32) {
    let (connection, handle, _) =
        rtnetlink::new_connection().unwrap_or_else(|error| panic!("no netlink socket: {error}"));
    let connection = tokio::spawn(connection);
    let link = LinkUnspec::new_with_index(index).up().build();
    handle
        .link()
        .set(link)
        .execute()
        .await
        .unwrap_or_else(|error| panic!("cannot bring interface {index} up: {error}"));
    connection.abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stdout(mut command: Command) -> String {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn own_netns() -> PathBuf {
        fs::read_link("/proc/thread-self/ns/net").unwrap()
    }

    #[test]
    fn iproute2_sees_the_namespace_while_the_guard_lives() {
        let netns = Netns::new("kit-guard");
        let name = netns.name().to_owned();
        let listed = || {
            let mut command = Command::new("ip");
            command.args(["netns", "list"]);
            stdout(command).lines().any(|line| line.split(' ').next() == Some(&name))
        };
        assert!(listed());
        drop(netns);
        assert!(!listed());
    }

    #[test]
    fn run_and_command_are_inside_and_the_caller_stays_outside() {
        let (netns, outside) = (Netns::new("kit-run"), own_netns());
        let inside = netns.run(own_netns);
        assert_ne!(inside, outside);
        let mut command = netns.command("readlink");
        command.arg("/proc/self/ns/net");
        assert_eq!(Path::new(stdout(command).trim()), inside);
        assert_eq!(own_netns(), outside);
    }

    #[test]
    fn a_witness_tells_a_freed_namespace_from_a_nameless_one() {
        let netns = Netns::new("kit-freed");
        let witness = netns.witness();
        let socket = netns.run(|| std::net::UdpSocket::bind("0.0.0.0:0").unwrap());
        drop(netns);
        // Freeing takes the kernel milliseconds; a namespace kept alive stays.
        thread::sleep(Duration::from_millis(50));
        assert!(!witness.saw_it_freed());
        drop(socket);
        wait_until("the namespace to be freed", Duration::from_secs(20), || witness.saw_it_freed());
    }

    #[test]
    #[should_panic(expected = "from inside")]
    fn a_panic_inside_reaches_the_caller() {
        Netns::new("kit-panic").run(|| panic!("from inside"));
    }

    #[test]
    fn a_guard_cleans_up_after_a_panic() {
        let path = thread::spawn(|| {
            let netns = Netns::new("kit-unwind");
            std::panic::resume_unwind(Box::new(netns.path().to_owned()));
        })
        .join()
        .unwrap_err();
        let path = path.downcast::<PathBuf>().unwrap();
        assert!(!path.exists(), "{path:?} is still there");
    }

    #[test]
    fn lo_goes_up_on_request() {
        let netns = Netns::new("kit-lo");
        let flags = || {
            let mut command = netns.command("ip");
            command.args(["-o", "link", "show", "lo"]);
            stdout(command)
        };
        assert!(!flags().contains("UP"));
        netns.bring_lo_up();
        assert!(flags().contains("UP"));
    }

    #[test]
    fn a_namespace_can_live_in_another_folder() {
        let directory = tempfile::tempdir().unwrap();
        let netns = Netns::in_directory(directory.path(), "elsewhere");
        assert_ne!(netns.run(own_netns), own_netns());
    }

    #[test]
    #[should_panic(expected = "in vain: the moon is green")]
    fn waiting_ends_and_says_for_what() {
        wait_until("the moon is green", Duration::from_millis(5), || false);
    }
}
