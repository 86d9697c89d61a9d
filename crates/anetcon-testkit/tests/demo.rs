//! The demo as users start it: it shows what it promises, and leaves nothing, also when interrupted.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![allow(clippy::disallowed_methods, reason = "the demo is a program")]

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anetcon_testkit::netns::{DIRECTORY, require_root, wait_until};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// A demo in a process group of its own, with a folder of its own for everything temporary.
struct Demo {
    child: Child,
    output: TempDir,
    temporary: TempDir,
}

impl Demo {
    fn start() -> Self {
        require_root();
        let binary = Path::new(env!("CARGO_BIN_EXE_anetcon-demo"));
        for neighbour in ["anetcond", "anetconctl"] {
            let path = binary.with_file_name(neighbour);
            assert!(path.exists(), "{} is missing: build the workspace first", path.display());
        }
        let (output, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = File::create(output.path().join("output")).unwrap();
        let child = Command::new(binary)
            .env("TMPDIR", temporary.path())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child, output, temporary }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.output.path().join("output")).unwrap()
    }

    fn wait(&mut self) -> ExitStatus {
        wait_until("the demo ends", PATIENCE, || self.child.try_wait().unwrap())
    }

    /// As Ctrl-C on a terminal does: the whole group gets it.
    fn interrupt(&self, signal: Signal) {
        killpg(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    fn assert_nothing_is_left(&self) {
        let said = self.said();
        let temporary: Vec<_> = fs::read_dir(self.temporary.path()).unwrap().collect();
        assert!(temporary.is_empty(), "{temporary:?} after\n{said}");
        // A process id is part of every name that the demo and its testkit make.
        let own = format!("-{}", self.child.id());
        let namespaces: Vec<_> = fs::read_dir(DIRECTORY)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(&own) || name.contains(&format!("{own}-")))
            .collect();
        assert!(namespaces.is_empty(), "{namespaces:?} after\n{said}");
        let agents = processes_that_mention(self.temporary.path());
        assert!(agents.is_empty(), "{agents:?} after\n{said}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn processes_that_mention(path: &Path) -> Vec<String> {
    let path = path.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok())
        .filter(|command_line| command_line.contains(path))
        .collect()
}

#[test]
fn it_shows_lines_a_repair_and_the_status() {
    let mut demo = Demo::start();
    let status = demo.wait();
    let said = demo.said();
    assert!(status.success(), "{status}\n{said}");
    for words in [
        "1. A router",
        "[ANETCON-DEMO][D][",
        "[ANETCON-DEMO][X][",
        "SRC=198.51.100.7 DST=10.7.0.10 ",
        "SRC=10.7.0.11 DST=198.51.100.7 ",
        "SRC=2001:0db8:0051:0000:0000:0000:0000:0007",
        "table missing",
        "anetcon-demo (thread ",
        "5. anetconctl status",
        "6. Who was that?",
        " was 10.7.0.11:",
        "(nat: the source was translated)",
        "7. Everything goes away again",
    ] {
        assert!(said.contains(words), "no {words:?} in\n{said}");
    }
    demo.assert_nothing_is_left();
}

#[test]
fn interrupted_it_leaves_nothing() {
    for (signal, at) in [
        (Signal::SIGINT, "1. A router"),
        (Signal::SIGTERM, "2. The agent"),
        (Signal::SIGINT, "3. Real connections"),
        (Signal::SIGHUP, "4. Somebody wipes"),
    ] {
        let mut demo = Demo::start();
        wait_until(&format!("{at} is shown"), PATIENCE, || demo.said().contains(at));
        demo.interrupt(signal);
        let status = demo.wait();
        let said = demo.said();
        // A demo that was faster than the signal has ended well, and must have cleaned up all the same.
        assert!(status.success() || said.contains("interrupted"), "{status}\n{said}");
        demo.assert_nothing_is_left();
    }
}
