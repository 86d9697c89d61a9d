//! A machine for one test: a real systemd as PID 1 over a copy of a file system, this machine's own or another.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anetcon_testkit::netns::{require_root, unique, wait_until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine_wide_systemd");
const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../systemd/anetcon.service");
const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// Units of the machine's own systemd that are wanted; everything else of it does not exist inside.
const JOURNAL: &[&str] =
    &["systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"];
const TARGETS: &[&str] = &["basic", "multi-user", "network-pre", "shutdown", "sysinit", "umount"];
const BOOT: &str = "[Unit]\nDefaultDependencies=no\nRequires=basic.target systemd-journald.service\n\
                    After=basic.target systemd-journald.service\n";
/// Reading the kernel log and turning audit on are the real machine's business.
const JOURNAL_SETTINGS: &str = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\n";

/// Ends a broken test. A boot takes less than a second on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

const LOG_ALL: &str = "/proc/sys/net/netfilter/nf_log_all_netns";

/// Only one machine at a time: they share nf_log_all_netns.
static ONE: Mutex<()> = Mutex::new(());

/// The machine; it is gone with this value, with everything that was written and every namespace made inside.
pub struct Machine {
    unshare: Child,
    leader: Pid,
    cgroup: PathBuf,
    /// nf_log_all_netns as it was: an agent that is killed with the machine does not put it back.
    log_all: String,
    _stage: TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Machine {
    /// Boots this machine's own system with our unit installed and this configuration; nothing of ours is started.
    pub fn boot(configuration: &str) -> Self {
        Self::boot_over(Path::new("/"), configuration)
    }

    /// As [`boot`](Self::boot), the system in this folder.
    pub fn boot_over(root: &Path, configuration: &str) -> Self {
        Self::staged(root, |stage| fill(stage, root, configuration))
    }

    /// Boots the whole system in this folder as it is, with these files in its /root.
    pub fn boot_whole(root: &Path, files: &[&Path]) -> Self {
        Self::staged(root, |stage| {
            let home = stage.join("files/root");
            fs::create_dir_all(&home)?;
            for file in files {
                fs::copy(file, home.join(file.file_name().expect("a file")))?;
            }
            Ok(())
        })
    }

    fn staged(root: &Path, fill: impl FnOnce(&Path) -> std::io::Result<()>) -> Self {
        require_root();
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let log_all = fs::read_to_string(LOG_ALL).expect("this is the machine's own namespace");
        let stage = tempfile::tempdir().expect("a folder");
        fill(stage.path()).expect("the stage is written");
        let cgroup = cgroup2().join(unique("boot"));
        fs::create_dir(&cgroup).expect("a cgroup");
        let unshare = start(stage.path(), root, &cgroup);
        let leader = wait_until("systemd starts", PATIENCE, || leader(&unshare));
        let machine = Self { unshare, leader, cgroup, log_all, _stage: stage, _one: one };
        wait_until("systemd has booted", PATIENCE, || {
            let output = machine.command("systemctl").arg("is-system-running").output();
            output.is_ok_and(|output| output.stdout == b"running\n")
        });
        machine
    }

    /// A command that will run inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        // Not the user and network namespaces: those are the machine's own.
        command.args(["--target", &self.leader.to_string(), "--root", "--wd"]);
        command.args(["--mount", "--uts", "--ipc", "--pid", "--cgroup", "--", program]);
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command inside that has to succeed, and gives what it printed.
    pub fn run(&self, words: &[&str]) -> String {
        let (program, arguments) = words.split_first().expect("a program");
        let output = self.command(program).args(arguments).output().expect("nsenter runs");
        assert!(output.status.success(), "{words:?}: {}{}", said(&output), self.journal());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `systemctl VERB anetcon`, whatever comes of it.
    pub fn systemctl(&self, verb: &str) -> Output {
        self.command("systemctl").args([verb, "anetcon"]).output().expect("nsenter runs")
    }

    /// `systemctl VERB anetcon`, which has to succeed.
    pub fn service(&self, verb: &str) {
        self.run(&["systemctl", verb, "anetcon"]);
    }

    /// What the service manager knows about our unit.
    pub fn property(&self, name: &str) -> String {
        self.run(&["systemctl", "show", "--value", "--property", name, "anetcon"]).trim().to_owned()
    }

    /// Everything our unit has said so far.
    pub fn journal(&self) -> String {
        let output = self.command("journalctl").args(["--unit=anetcon", "--output=cat"]).output();
        output.map_or_else(|error| error.to_string(), |output| said(&output))
    }

    /// Where a file of the machine is for us.
    pub fn path(&self, inside: &str) -> PathBuf {
        Path::new("/proc")
            .join(self.leader.to_string())
            .join("root")
            .join(inside.strip_prefix('/').expect("an absolute path"))
    }

    /// The text of a file; empty when there is none.
    pub fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_default()
    }

    /// Writes the agent's configuration.
    pub fn configure(&self, configuration: &str) {
        fs::write(self.path("/etc/anetcon/anetcon.toml"), configuration).expect("written");
    }

    /// A namespace as `ip netns` makes them, with its loopback up.
    pub fn add_netns(&self, name: &str) {
        self.run(&["ip", "netns", "add", name]);
        self.run(&["ip", "-netns", name, "link", "set", "lo", "up"]);
    }

    /// What `nft` prints for a script inside a namespace, and nothing when it fails.
    pub fn nft(&self, netns: &str, script: &str) -> Option<String> {
        let mut command = self.command("ip");
        let output = command.args(["netns", "exec", netns, "nft", script]).output().expect("runs");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Tries to connect to a closed port of the namespace's own address.
    pub fn connect(&self, netns: &str) {
        let mut command = self.command("ip");
        let attempt = ["netns", "exec", netns, "bash", "-c", "true 2>&- >/dev/tcp/127.0.0.1/9"];
        let output = command.args(attempt).output().expect("nsenter runs");
        assert!(!output.status.success(), "nobody listens on the port");
    }

    /// The main process of our unit.
    pub fn main_pid(&self) -> Pid {
        let inside: i32 = self.property("MainPID").parse().expect("a number");
        assert_ne!(inside, 0, "the service runs: {}", self.journal());
        // The kernel prints the id in every namespace, the machine's own first.
        let ours = |pid: &i32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
            let inner = ids.and_then(|ids| ids.split_whitespace().nth(1));
            inner == Some(inside.to_string().as_str())
        };
        let pids =
            fs::read_to_string(self.cgroup.join("system.slice/anetcon.service/cgroup.procs"));
        let pids = pids.expect("the service has a cgroup");
        let found = pids.lines().filter_map(|pid| pid.parse().ok()).find(ours);
        Pid::from_raw(found.expect("the main process is in its cgroup"))
    }

    /// Sends a signal to the main process of our unit.
    pub fn signal(&self, signal: Signal) {
        kill(self.main_pid(), signal).expect("the process is there");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // PID 1 takes everything with it. Errors mean that it is gone already.
        let _ = kill(self.leader, Signal::SIGKILL);
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        // A thousand namespaces take the kernel some seconds.
        let deadline = std::time::Instant::now() + PATIENCE;
        while remove_cgroups(&self.cgroup).is_err() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Only now, when no process is left: an agent that is still there would set it again.
        let _ = fs::write(LOG_ALL, &self.log_all);
    }
}

fn remove_cgroups(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        if entry.file_type()?.is_dir() {
            remove_cgroups(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

/// Writes what boot.sh takes: files to install and the units that exist.
fn fill(stage: &Path, root: &Path, configuration: &str) -> std::io::Result<()> {
    let (files, units) = (stage.join("files"), stage.join("units"));
    for folder in ["usr/sbin", "etc/anetcon", "etc/systemd/journald.conf.d"] {
        fs::create_dir_all(files.join(folder))?;
    }
    add_user(root, &files)?;
    fs::create_dir(&units)?;
    let built = Path::new(ANETCOND).parent().expect("a built program has a folder");
    for program in ["anetcond", "anetconctl"] {
        fs::copy(built.join(program), files.join("usr/sbin").join(program))?;
    }
    fs::write(files.join("etc/anetcon/anetcon.toml"), configuration)?;
    fs::write(files.join("etc/systemd/journald.conf.d/boot.conf"), JOURNAL_SETTINGS)?;
    for unit in JOURNAL {
        fs::copy(root.join("lib/systemd/system").join(unit), units.join(unit))?;
    }
    for target in TARGETS {
        let text = format!("[Unit]\nDescription={target}\nDefaultDependencies=no\n");
        fs::write(units.join(format!("{target}.target")), text)?;
    }
    fs::write(units.join("boot.target"), BOOT)?;
    fs::copy(UNIT, units.join("anetcon.service")).map(|_| ())
}

/// The agent's user, as the package makes it, whose log folder it is.
fn add_user(root: &Path, files: &Path) -> std::io::Result<()> {
    const ID: u32 = 64_321;
    for (name, line) in [
        ("etc/passwd", format!("anetcon:x:{ID}:{ID}::/var/lib/anetcon:/usr/sbin/nologin\n")),
        ("etc/group", format!("anetcon:x:{ID}:\n")),
    ] {
        let known = fs::read_to_string(root.join(name))?;
        fs::write(files.join(name), known + &line)?;
    }
    let logs = files.join("var/log/anetcon");
    fs::create_dir_all(&logs)?;
    std::os::unix::fs::chown(&logs, Some(ID), None)
}

fn start(stage: &Path, root: &Path, cgroup: &Path) -> Child {
    // The shell moves itself, so that the new cgroup namespace begins at the new cgroup.
    let script = r#"echo $$ >"$1/cgroup.procs" && shift && exec unshare "$@""#;
    let output = File::create(stage.join("boot.log")).expect("a file");
    Command::new("bash")
        .args(["-c", script, "boot"])
        .arg(cgroup)
        .args(["--pid", "--mount", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"])
        .args(["--propagation", "private", &format!("{HERE}/boot.sh")])
        .arg(stage)
        .arg(root)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a file"))
        .stderr(output)
        .spawn()
        .expect("bash is on every machine")
}

/// The child of unshare, once it has become systemd.
fn leader(unshare: &Child) -> Option<Pid> {
    let id = unshare.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    let child: i32 = children.split_whitespace().next()?.parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
    (name == "systemd\n").then(|| Pid::from_raw(child))
}

/// Where the unified cgroup hierarchy is mounted.
fn cgroup2() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("proc is mounted");
    let mounted = mounts.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [_, path, "cgroup2", ..] => Some(PathBuf::from(path)),
        _ => None,
    });
    mounted.expect("this test boots a systemd and needs a mounted cgroup2")
}

/// What a command printed.
pub fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}
