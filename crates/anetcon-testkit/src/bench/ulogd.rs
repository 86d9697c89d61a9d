//! ulogd2 as a child: its NFCT plugin hears of new connections and its JSON plugin writes a line for each.
#![allow(clippy::disallowed_methods, reason = "it is what the agent is compared with")]

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::stage::Stage;
use crate::netns::Netns;

/// As large as the agent's.
const BUFFER: u32 = 16 << 20;

/// A ulogd that listens in one namespace. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Ulogd {
    child: Child,
    folder: TempDir,
}

impl Ulogd {
    /// Starts it and waits until it listens.
    pub(super) fn start(stage: &Stage, netns: &Netns) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let configuration = folder.path().join("ulogd.conf");
        fs::write(&configuration, text(&plugins()?, folder.path()))?;
        let stderr = File::create(folder.path().join("stderr"))?;
        let child = netns
            .command("ulogd")
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .context("cannot start ulogd")?;
        let mut ulogd = Self { child, folder };
        let said = ulogd.folder.path().join("ulogd.log");
        stage.wait("ulogd listens", Duration::from_secs(10), || {
            if let Some(status) = ulogd.child.try_wait()? {
                bail!("ulogd ended with {status}: {}", ulogd.said());
            }
            let text = fs::read_to_string(&said).unwrap_or_default();
            Ok(text.contains("entering main loop"))
        })?;
        Ok(ulogd)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file with its lines. The last ones may wait in ulogd until it ends.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("connections.json")
    }

    /// Ends it in good order; its file is whole then.
    pub(super) fn stop(&mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }

    fn said(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("stderr") + &read("ulogd.log")
    }
}

impl Drop for Ulogd {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian puts plugins below a folder named for the architecture.
fn plugins() -> Result<PathBuf> {
    let candidates = fs::read_dir("/usr/lib")?
        .filter_map(|entry| Some(entry.ok()?.path().join("ulogd")))
        .chain(["/usr/lib/ulogd".into(), "/usr/local/lib/ulogd".into()]);
    let mut folders = candidates.filter(|folder| folder.join("ulogd_inpflow_NFCT.so").is_file());
    folders.next().context("ulogd's plugins are not below /usr/lib")
}

/// New connections only (`NF_NETLINK_CONNTRACK_NEW`), written at once instead of at their end.
fn text(plugins: &Path, folder: &Path) -> String {
    let (plugins, folder) = (plugins.display(), folder.display());
    format!(
        "[global]\n\
         logfile=\"{folder}/ulogd.log\"\n\
         loglevel=3\n\
         plugin=\"{plugins}/ulogd_inpflow_NFCT.so\"\n\
         plugin=\"{plugins}/ulogd_filter_IP2STR.so\"\n\
         plugin=\"{plugins}/ulogd_output_JSON.so\"\n\
         stack=ct1:NFCT,ip2str1:IP2STR,json1:JSON\n\
         [ct1]\n\
         hash_enable=0\n\
         event_mask=0x00000001\n\
         netlink_socket_buffer_size={BUFFER}\n\
         netlink_socket_buffer_maxsize={BUFFER}\n\
         [json1]\n\
         file=\"{folder}/connections.json\"\n"
    )
}
