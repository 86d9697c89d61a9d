//! Running programs: where the workspace is, how to become root, what a failure says.

use std::{
    env,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};

/// The folder of the workspace; cargo names ours at run time, the build's place is the fallback.
pub fn workspace() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map_or_else(|| own.clone(), Path::to_owned)
}

/// The cargo that started us, in the workspace's folder.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Runs a command to its end with our terminal.
///
/// # Errors
/// When it cannot be started or does not exit with 0; the error names the command.
pub fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let program = match Path::new(command.get_program()).file_name() {
        Some(name) if name == "cargo" => name,
        _ => command.get_program(),
    };
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// How this process may do what only root may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elevation {
    /// We are root already.
    Root,
    /// By sudo, which may ask for a password.
    Sudo,
    /// Not at all.
    Impossible,
}

impl Elevation {
    /// Finds out; without a terminal sudo counts only when it needs no password.
    pub fn detect() -> Self {
        if nix::unistd::geteuid().is_root() {
            return Self::Root;
        }
        let quiet = |arguments: &[&str]| {
            let mut command = Command::new("sudo");
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        let usable =
            if io::stdin().is_terminal() { quiet(&["--version"]) } else { quiet(&["-n", "true"]) };
        if usable { Self::Sudo } else { Self::Impossible }
    }

    /// The program with root's rights; `None` when there is no way to them.
    pub fn command(self, program: impl AsRef<std::ffi::OsStr>) -> Option<Command> {
        match self {
            Self::Root => Some(Command::new(program)),
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.arg("--").arg(program);
                Some(command)
            }
            Self::Impossible => None,
        }
    }
}

/// What `cargo metadata` says of the workspace, without its dependencies' own dependencies.
///
/// # Errors
/// When cargo fails or prints something else than JSON.
pub fn metadata() -> Result<serde_json::Value> {
    let output = cargo()
        .args(["metadata", "--format-version=1", "--locked"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed ({})", output.status);
    serde_json::from_slice(&output.stdout).context("cargo metadata did not print JSON")
}

/// Where cargo puts what it builds.
///
/// # Errors
/// As [`metadata`].
pub fn target_directory() -> Result<PathBuf> {
    let metadata = metadata()?;
    let directory =
        metadata.get("target_directory").and_then(|path| path.as_str()).map(PathBuf::from);
    directory.context("cargo metadata names no target_directory")
}

/// Keeps Ctrl-C from ending xtask before what it started has cleaned up.
pub struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    /// From now on SIGINT and SIGTERM are remembered instead of ending this process.
    ///
    /// # Errors
    /// When the system refuses the handlers.
    pub fn watch() -> Result<Self> {
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&seen))
                .context("cannot watch for Ctrl-C")?;
        }
        Ok(Self(seen))
    }

    /// Whether one of the signals has come.
    pub fn seen(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
