//! What a test run may leave behind on the machine: namespaces, processes, a changed sysctl.

use std::{
    collections::BTreeSet,
    env, fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::{sys::signal, unistd::Pid};

const NAMESPACES: &str = "/run/netns";
const LOG_ALL: &str = "/proc/sys/net/netfilter/nf_log_all_netns";

/// The environment variable that every process of a run carries.
pub const MARK: &str = "ANETCON_TEST_RUN";

/// How long things may take to go away: names leave when the last test's guard is dropped.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

/// What was there before the tests.
pub struct Machine {
    namespaces: BTreeSet<String>,
    log_all: Option<String>,
}

impl Machine {
    /// Looks at the machine now.
    pub fn look() -> Self {
        Self { namespaces: namespaces(), log_all: fs::read_to_string(LOG_ALL).ok() }
    }

    /// Puts the sysctl back and names every namespace that the processes `ran` have left.
    pub fn compare(&self, ran: &[u32]) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(value) = &self.log_all
            && let Err(error) = fs::write(LOG_ALL, value)
        {
            problems.push(format!("{LOG_ALL} cannot be put back: {error}"));
        }
        let deadline = Instant::now() + PATIENCE;
        let mut left = self.left(ran);
        while !left.is_empty() && Instant::now() < deadline {
            thread::sleep(LOOK);
            left = self.left(ran);
        }
        problems.extend(left.iter().map(|name| format!("namespace {name} was left behind")));
        problems
    }

    fn left(&self, ran: &[u32]) -> Vec<String> {
        let now = namespaces();
        now.difference(&self.namespaces)
            .filter(|name| !of_others(name, ran, |pid| Path::new("/proc").join(pid).exists()))
            .cloned()
            .collect()
    }
}

/// Whether a namespace named `at-<tag>-<pid>-<counter>` belongs to a test that somebody else runs now.
fn of_others(name: &str, ran: &[u32], alive: impl Fn(&str) -> bool) -> bool {
    let mut parts = name.rsplitn(3, '-');
    let (_counter, pid) = (parts.next(), parts.next());
    let Some(pid) = pid.filter(|_| name.starts_with("at-")) else {
        return false;
    };
    let number: Option<u32> = pid.parse().ok();
    number.is_some_and(|number| !ran.contains(&number)) && alive(pid)
}

fn namespaces() -> BTreeSet<String> {
    let entries = fs::read_dir(NAMESPACES).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The mark of one run.
pub struct Mark {
    value: String,
    wanted: Vec<u8>,
}

impl Mark {
    /// A mark that no other run has: the process id is ours, and one run is one process.
    pub fn new() -> Self {
        let value = format!("{}-{}", env::consts::ARCH, std::process::id());
        let wanted = format!("{MARK}={value}").into_bytes();
        Self { value, wanted }
    }

    /// The variable's value.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Kills every process that carries the mark and gives their names and ids.
    pub fn end_processes(&self) -> Vec<String> {
        let mut ended = BTreeSet::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.processes();
            if found.is_empty() || Instant::now() > deadline {
                return ended.into_iter().collect();
            }
            for (pid, name) in found {
                // It may be gone by itself between look and kill.
                let _ = signal::kill(Pid::from_raw(pid), signal::Signal::SIGKILL);
                ended.insert(format!("{name} ({pid})"));
            }
            thread::sleep(LOOK);
        }
    }

    fn processes(&self) -> Vec<(i32, String)> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
                let environment = fs::read(entry.path().join("environ")).ok()?;
                let marked = environment.split(|byte| *byte == 0).any(|one| one == self.wanted);
                let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                marked.then(|| (pid, name.trim_end().to_owned()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{MARK, Mark, of_others};

    #[test]
    fn a_marked_process_is_found_and_ended() {
        let mark = Mark::new();
        let mut child = Command::new("sleep")
            .arg("60")
            .env(MARK, mark.value())
            .stdin(Stdio::null())
            .spawn()
            .expect("sleep is on every machine");
        // Until its exec the child still has our own environment.
        while mark.processes().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(mark.end_processes(), [format!("sleep ({})", child.id())]);
        assert!(!child.wait().expect("it was started").success());
    }

    #[test]
    fn namespaces_of_other_peoples_tests_are_excused() {
        let cases = [
            ("at-router-77-0", true),
            ("at-router-a-77-12", true),
            ("at-router-42-0", false),
            ("at-router-88-0", false),
            ("at-router", false),
            ("qrouter-77-0", false),
        ];
        for (name, wanted) in cases {
            assert_eq!(of_others(name, &[42], |pid| pid != "88"), wanted, "{name}");
        }
    }
}
