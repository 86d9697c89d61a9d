//! The agent as a child process in a temporary folder, ready when its constructor returns, gone when dropped.
#![allow(clippy::panic, reason = "a test whose agent does not do as told ends here")]
#![allow(clippy::disallowed_methods, reason = "the agent is the program under test")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::configuration::Configuration;
use crate::http::{self, Response};
use crate::netns::{Netns, require_root, wait_until};
use crate::threads::threads;

/// Ends a test whose agent hangs; far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running agent, or one that was stopped and can be started again in the same folder.
#[derive(Debug)]
pub struct Agent {
    binary: PathBuf,
    arguments: Vec<OsString>,
    /// Where it runs, if not where the test does.
    inside: Option<PathBuf>,
    folder: TempDir,
    configuration: Configuration,
    launcher: Vec<String>,
    child: Option<Child>,
}

impl Agent {
    /// Starts the agent and waits until its control socket answers.
    ///
    /// `binary` is `env!("CARGO_BIN_EXE_anetcond")` in the agent's own tests.
    pub fn start(binary: &Path, configuration: Configuration) -> Self {
        let mut agent = Self::prepared(binary, configuration);
        agent.start_again();
        agent
    }

    /// A folder with everything in it and no agent running yet.
    pub fn prepared(binary: &Path, configuration: Configuration) -> Self {
        require_root();
        let folder =
            tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        let agent = Self {
            binary: binary.to_owned(),
            arguments: Vec::new(),
            inside: None,
            folder,
            configuration,
            launcher: Vec::new(),
            child: None,
        };
        for name in ["log", "state"] {
            let path = agent.folder().join(name);
            fs::create_dir(&path)
                .unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
        }
        agent.write_configuration();
        agent
    }

    /// From now on the agent is started by this command, which gets the agent's command line as further
    /// arguments and must become the agent by exec: signals and [`pid`](Self::pid) are then the agent's.
    pub fn launch_with(&mut self, command: &[&str]) {
        self.launcher = command.iter().map(ToString::to_string).collect();
    }

    /// Starts the agent in its folder once more and waits until its control socket answers.
    pub fn start_again(&mut self) {
        self.spawn();
        let ready = wait_for(|| {
            if let Some(status) = self.exit_status() {
                panic!("the agent ended with {status} instead of getting ready");
            }
            self.request("GET", "/v1/status").is_ok_and(|response| response.code == 200)
        });
        assert!(ready, "the agent's control socket does not answer");
    }

    /// Starts the agent and waits for nothing: for a test in which it cannot get ready.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "the agent runs already");
        let stderr = File::options().create(true).append(true).open(self.stderr_path());
        let stderr = stderr.unwrap_or_else(|error| panic!("no file for stderr: {error}"));
        let child = self
            .program()
            .arg("-c")
            .arg(self.configuration_path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            // Ctrl-C on the terminal is for whoever started the agent, who then ends it in good order.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.binary.display()));
        self.child = Some(child);
    }

    /// Gives the agent these arguments besides `-c`, from its next start on.
    pub fn set_arguments<T: Into<OsString>>(&mut self, arguments: impl IntoIterator<Item = T>) {
        self.arguments = arguments.into_iter().map(Into::into).collect();
    }

    /// Lets the agent run inside a namespace, which it then takes for the root namespace, from its next start on.
    pub fn run_inside(&mut self, netns: &Netns) {
        self.inside = Some(netns.path().to_owned());
    }

    /// The agent's folder: configuration, socket, `log`, `state`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub fn configuration_path(&self) -> PathBuf {
        self.folder().join("anetcon.toml")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.folder().join("anetcon.sock")
    }

    /// The configuration as it was last written.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The agent's process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap_or_else(|| panic!("the agent does not run")).id()
    }

    /// Everything the agent said on stderr, over all its starts.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.stderr_path()).unwrap_or_default()
    }

    /// The lines of the file that `kind` (`float` or `nat`) goes to; none while it does not exist.
    pub fn log_lines(&self, kind: &str) -> Vec<String> {
        let path = self.folder().join(format!("log/anetcon.{kind}.log"));
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Changes the configuration file; the agent does not know until [`reload`](Self::reload).
    pub fn configure(&mut self, change: impl FnOnce(&mut Configuration)) {
        change(&mut self.configuration);
        self.write_configuration();
    }

    /// Asks the agent to load its configuration again (SIGHUP). When it has done so the status shows.
    pub fn reload(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// SIGTERM, and the exit status.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait_for_exit()
    }

    /// Ends the agent with SIGTERM, or with SIGKILL if it does not listen; for clean-up, so nothing that
    /// goes wrong on the way is an error.
    pub fn end(&mut self) {
        if let Some(child) = &self.child {
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
            wait_for(|| self.exit_status().is_some());
        }
        self.end_at_once();
    }

    /// SIGKILL: the agent can do nothing about it.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait_for_exit();
    }

    /// Waits until the agent has ended by itself or by a signal.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for(|| {
            status = self.exit_status();
            status.is_some()
        });
        status.unwrap_or_else(|| panic!("the agent does not end"))
    }

    /// How the agent ended, if it did; it can be started again then.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        let status =
            child.try_wait().unwrap_or_else(|error| panic!("cannot wait for the agent: {error}"));
        if status.is_some() {
            self.child = None;
        }
        status
    }

    /// A request to the control socket.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn request(&self, method: &str, path: &str) -> std::io::Result<Response> {
        http::request(&self.socket(), method, path)
    }

    /// The document at this path of the control socket, which must be there.
    pub fn get(&self, path: &str) -> Value {
        let response = self
            .request("GET", path)
            .unwrap_or_else(|error| panic!("the agent does not answer GET {path}: {error}"));
        assert_eq!(response.code, 200, "GET {path}: {}", response.body);
        serde_json::from_str(&response.body)
            .unwrap_or_else(|error| panic!("GET {path}: not JSON, {error}: {}", response.body))
    }

    /// What each open file descriptor of the agent leads to (`socket:[4711]`, a path), as proc(5) shows it.
    pub fn open_files(&self) -> Vec<String> {
        let folder = format!("/proc/{}/fd", self.pid());
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("cannot read {folder}: {error}"));
        // One that was closed since then leads nowhere.
        let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.map(|link| link.to_string_lossy().into_owned()).collect()
    }

    /// The agent's status.
    pub fn status(&self) -> Value {
        self.get("/v1/status")
    }

    /// Waits until the status is as wanted, and returns it.
    pub fn wait_for_status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let reached = wait_for(|| {
            last = self.status();
            wanted(&last)
        });
        assert!(reached, "waited in vain: {what}; the status is {last:#}");
        last
    }

    /// Waits until every selected namespace is audited, and there are this many.
    pub fn wait_audited(&self, count: u64) -> Value {
        let number = |status: &Value, key| status.pointer(key).and_then(Value::as_u64);
        self.wait_for_status(&format!("{count} namespaces audited"), |status| {
            number(status, "/namespaces/audited") == Some(count)
                && number(status, "/namespaces/selected") == Some(count)
        })
    }

    /// The launchers become the agent by exec, so the process id is the agent's in any case.
    fn program(&self) -> Command {
        let mut words: Vec<OsString> = self.launcher.iter().map(OsString::from).collect();
        if let Some(netns) = &self.inside {
            words.extend(["nsenter".into(), format!("--net={}", netns.display()).into()]);
            words.push("--".into());
        }
        let Some((program, arguments)) = words.split_first() else {
            return Command::new(&self.binary);
        };
        let mut command = Command::new(program);
        command.args(arguments).arg(&self.binary);
        command
    }

    fn write_configuration(&self) {
        let toml = self.configuration.to_toml(self.folder());
        fs::write(self.configuration_path(), toml)
            .unwrap_or_else(|error| panic!("cannot write the configuration: {error}"));
    }

    fn stderr_path(&self) -> PathBuf {
        self.folder().join("stderr")
    }

    /// Sends a signal. Only a stop is waited for: until then each thread may still do something.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal)
            .unwrap_or_else(|error| panic!("cannot send {signal} to the agent: {error}"));
        if signal == Signal::SIGSTOP {
            wait_until("every thread stands still", PATIENCE, || {
                threads(self.pid()).iter().all(|thread| thread.state == 'T')
            });
        }
    }

    fn end_at_once(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error means that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end_at_once();
        if thread::panicking() {
            eprintln!("what the agent said:\n{}", self.stderr());
        }
    }
}

/// As [`wait_until`], but answers whether it came true, so that the caller can
/// say what was seen instead.
fn wait_for(mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
