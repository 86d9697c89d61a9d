//! What the tests of this crate share: kernel log lines made by real nftables rules, and captures with a folder of their own.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]
#![allow(clippy::disallowed_methods, reason = "tests start the programs they compare with")]

pub mod rsyslogd;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anetcon_core::prefix::{NamespaceTag, Prefixes};
use anetcon_records::device::Device;
use anetcon_records::{Capture, CaptureConfig, Event};
use anetcon_testkit::kernel_log::KernelLog;
use anetcon_testkit::netns::{Netns, require_root, wait_until};

/// Ends a broken test; a healthy one never waits that long.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Connections to ports below are logged as float, the others as nat.
pub const FIRST_NAT_PORT: u16 = 20_000;

/// A namespace whose rules log each new connection with prefixes of its own. The port is the connection's serial number.
pub struct Talker {
    pub netns: Netns,
    pub prefixes: Prefixes,
}

impl Talker {
    /// A namespace with rules.
    pub fn new(label: &str) -> Self {
        require_root();
        fs::write("/proc/sys/net/netfilter/nf_log_all_netns", "1").unwrap();
        let base = unique_base();
        let prefixes = Prefixes {
            base,
            dnat: "[D]".into(),
            other: "[X]".into(),
            namespace: NamespaceTag::Hash,
        };
        let netns = Netns::new(label);
        netns.bring_lo_up();
        let talker = Self { netns, prefixes };
        talker.set_prefix(&talker.prefixes.base);
        talker
    }

    /// Sets (anew) the rules, with another base of the prefix.
    pub fn set_prefix(&self, base: &str) {
        self.nft(&format!(
            "table inet t\ndelete table inet t\ntable inet t {{\n chain c {{\n\
             type nat hook output priority 0; policy accept;\n\
             tcp dport < {FIRST_NAT_PORT} ct state new log prefix \"{base}[D][0123abcd] \"\n\
             tcp dport >= {FIRST_NAT_PORT} ct state new log prefix \"{base}[X][0123abcd] \"\n}}\n}}\n"
        ));
    }

    fn nft(&self, ruleset: &str) {
        let mut command = self.netns.command("nft");
        let mut nft = command.args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        nft.stdin.take().unwrap().write_all(ruleset.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success(), "nft refused {ruleset}");
    }

    /// One connection to each port. Nobody listens, so each is answered with a reset; it was logged before.
    pub fn connect(&self, ports: Range<u16>) {
        self.netns.run(|| {
            for port in ports {
                TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens");
            }
        });
    }

    /// Makes connections to the ports from 1 on, some hundred a second, until the job is done; returns the first
    /// port that was not used. The job is given the newest port that was connected to. The pace leaves a reader that is being restarted time before the kernel's ring is full.
    pub fn connect_during(&self, job: impl FnOnce(&AtomicU16)) -> u16 {
        let done = AtomicBool::new(false);
        let newest = AtomicU16::new(0);
        thread::scope(|scope| {
            let load = scope.spawn(|| {
                self.netns.run(|| {
                    for port in 1..FIRST_NAT_PORT {
                        if done.load(Ordering::Relaxed) {
                            return port;
                        }
                        TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens");
                        newest.store(port, Ordering::Relaxed);
                        thread::sleep(Duration::from_millis(2));
                    }
                    panic!("the job took too long");
                })
            });
            // Also when the job panics, or the scope would wait for the load.
            let finally = Finally(|| done.store(true, Ordering::Relaxed));
            job(&newest);
            drop(finally);
            load.join().unwrap()
        })
    }

    /// A text in the form of a line of ours.
    pub fn forged(&self, port: u16) -> String {
        let stem = self.prefixes.stem(anetcon_core::prefix::Kind::Float);
        format!("{stem}[0123abcd] IN= OUT=lo SRC=192.0.2.1 DST=192.0.2.2 DPT={port} ")
    }

    /// A capture's configuration for this talker, in a folder.
    pub fn config(&self, folder: &Path) -> CaptureConfig {
        CaptureConfig {
            write: true,
            prefixes: self.prefixes.clone(),
            directory: folder.join("log"),
            state_directory: folder.join("state"),
            hostname: "host".into(),
        }
    }
}

/// A prefix of this test's own: 10 bytes, so that a process name (15 bytes) can hold it with `[D]`.
fn unique_base() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("[{:06x}{counter:02x}]", std::process::id())
}

/// Runs its closure when it goes out of scope, also by a panic.
pub struct Finally<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Starts a capture and collects its events.
pub fn start(config: CaptureConfig) -> (Capture, Receiver<Event>) {
    let (sender, events) = mpsc::channel();
    let capture = Capture::start(config, Device::default(), move |event| {
        let _ = sender.send(event);
    })
    .unwrap();
    (capture, events)
}

/// How often each port stands in the lines of the given files.
pub fn ports(files: &[PathBuf]) -> BTreeMap<u16, u32> {
    let mut ports = BTreeMap::new();
    for line in files.iter().flat_map(|file| lines(file)) {
        let port = line.split(" DPT=").nth(1).and_then(|rest| rest.split(' ').next());
        let port = port.unwrap_or_else(|| panic!("no port in {line:?}"));
        *ports.entry(port.parse().unwrap()).or_default() += 1;
    }
    ports
}

/// What [`ports`] gives when each was logged once.
pub fn once(range: Range<u16>) -> BTreeMap<u16, u32> {
    range.map(|port| (port, 1)).collect()
}

/// The lines of a file, none if it is missing.
pub fn lines(file: &Path) -> Vec<String> {
    let text = fs::read(file).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

/// All files of a folder whose names start like this, in no order.
pub fn files(folder: &Path, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(start));
    named.map(|entry| entry.path()).collect()
}

/// Waits until so many lines stand in the files of a folder that start like this.
pub fn wait_for_lines(folder: &Path, start: &str, count: usize) {
    wait_until(&format!("{count} lines in {start}"), DEADLINE, || {
        files(folder, start).iter().map(|file| lines(file).len()).sum::<usize>() >= count
    });
}

/// Asserts that each port of the range was logged exactly once, naming the ones that were not.
pub fn assert_once(files: &[PathBuf], range: Range<u16>) {
    let (found, wanted) = (ports(files), once(range));
    let wrong: Vec<_> = wanted
        .keys()
        .chain(found.keys())
        .filter(|port| found.get(port) != wanted.get(port))
        .map(|port| (*port, found.get(port).copied().unwrap_or(0)))
        .collect();
    assert!(wrong.is_empty(), "ports and how often they were logged: {wrong:?} in {files:?}");
}

/// The permission bits of a file or folder.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Writes one record to the kernel log as a process may.
pub fn write_to_kmsg(text: &str) {
    // One open per write: the kernel limits the rate of each open file. Without the newline it would wait for a continuation.
    let mut device = fs::OpenOptions::new().write(true).open("/dev/kmsg").unwrap();
    device.write_all(format!("{text}\n").as_bytes()).unwrap();
}

/// Crashes a process with a name until the kernel has logged `NAME[pid]: segfault at ...`; returns `NAME[pid]`. More than one
/// try is needed where others crash, too: the kernel limits the rate of these messages (10 in 5 seconds).
pub fn crash_named(folder: &Path, name: &str) -> String {
    let shell = folder.join(name);
    std::os::unix::fs::symlink("/bin/bash", &shell).unwrap();
    let mut log = KernelLog::follow(name);
    wait_until("the kernel logs the crash", DEADLINE, || {
        let crashed = format!("{name}[{}]", crash(&shell));
        let logged = log.settled().iter().any(|line| line.starts_with(&crashed));
        if !logged {
            thread::sleep(Duration::from_secs(1));
        }
        logged.then_some(crashed)
    })
}

/// Overflows a shell's stack; returns the shell's process id.
fn crash(shell: &Path) -> u32 {
    let mut child = Command::new(shell)
        .args(["-c", "ulimit -c 0; ulimit -s 256; f() { f; }; f"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(!child.wait().unwrap().success());
    child.id()
}

/// A file of this repository.
pub fn shipped(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
