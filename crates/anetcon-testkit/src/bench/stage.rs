//! What every benchmark has: an end in good order when interrupted, processes and their CPU time, the machine's facts.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::unistd::{SysconfVar, sysconf};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Whether somebody wants the benchmark to end.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    interrupted: Arc<AtomicBool>,
}

impl Stage {
    /// From now on SIGINT, SIGTERM and SIGHUP end the benchmark in good order.
    pub(super) fn open() -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .context("cannot catch signals")?;
        }
        Ok(Self { interrupted })
    }

    /// Ends an interrupted benchmark.
    pub(super) fn check(&self) -> Result<()> {
        if self.interrupted.load(Ordering::Relaxed) {
            bail!("interrupted; namespaces, processes and temporary files are gone");
        }
        Ok(())
    }

    /// Lets time pass.
    pub(super) fn pause(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// Waits until a condition holds.
    pub(super) fn wait(
        &self,
        what: &str,
        limit: Duration,
        mut holds: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let end = Instant::now() + limit;
        while !holds()? {
            self.check()?;
            if Instant::now() > end {
                bail!("waited {limit:?} in vain: {what}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Waits until a file has not grown for so long, which asks nothing of whoever writes it.
    pub(super) fn wait_quiet(&self, file: &Path, quiet: Duration) -> Result<()> {
        let size = || fs::metadata(file).map_or(0, |metadata| metadata.len());
        let (mut last, mut since) = (size(), Instant::now());
        while since.elapsed() < quiet {
            self.pause(Duration::from_millis(50))?;
            if size() != last {
                (last, since) = (size(), Instant::now());
            }
        }
        Ok(())
    }
}

/// CPU seconds that a process has used, in user and kernel mode.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} is not as in proc(5)"))?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
    Ok(ticks as f64 / per_second as f64)
}

/// utime + stime, the fields 14 and 15 of proc(5)'s stat. The name in field 2 may hold anything, also parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Cores, processor, memory and kernel, in one line.
pub(super) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("?", |text| text.trim_start_matches([' ', '\t', ':']));
    let memory: u64 = field(&read("/proc/meminfo"), "MemTotal:").unwrap_or_default();
    let load = read("/proc/loadavg");
    format!(
        "{cores} cores ({model}), {:.0} GiB, Linux {}, load before: {}",
        memory as f64 / f64::from(1 << 20),
        read("/proc/sys/kernel/osrelease").trim(),
        load.split_whitespace().next().unwrap_or("?"),
    )
}

/// A number of a file of `name number` lines, as /proc/meminfo is.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194560 1 2 3 4 250 31 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some(281));
        assert_eq!(ticks("7 (a) S 1"), None);
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
    }

    #[test]
    fn numbers_have_names() {
        assert_eq!(field("MemTotal:  42 kB\nMemFree: 7 kB\n", "MemFree:"), Some(7));
        assert_eq!(field("", "MemFree:"), None);
    }
}
