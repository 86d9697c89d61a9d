//! The agent as a process, under the names that every Prometheus client gives these numbers.

use std::fs;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;
use nix::unistd::{SysconfVar, sysconf};

/// What the process uses. What cannot be read is `None`, and then not told.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Time on a processor, in seconds.
    pub cpu: Option<f64>,
    /// Memory that is not swapped out, in bytes.
    pub resident: Option<u64>,
    /// Open file descriptors.
    pub open: Option<u64>,
    /// How many there may be.
    pub most: Option<u64>,
}

impl Process {
    /// As it is now.
    pub fn read() -> Self {
        Self {
            cpu: cpu(),
            resident: resident(),
            open: open(),
            most: getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(most, _)| most),
        }
    }
}

fn cpu() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    Some(seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// The second number of proc_pid_statm(5), which counts pages.
fn resident() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten()?;
    pages.checked_mul(u64::try_from(size).ok()?)
}

/// Without the one that lists them.
fn open() -> Option<u64> {
    let listed = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(listed.saturating_sub(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_something_of_everything() {
        let Process { cpu, resident, open, most } = Process::read();
        assert!(cpu.is_some_and(|seconds| seconds > 0.0), "{cpu:?}");
        assert!(resident.is_some_and(|bytes| bytes > 100_000), "{resident:?}");
        assert!(open.is_some_and(|open| open >= 3), "{open:?}");
        assert!(open <= most, "{open:?} of {most:?}");
    }
}
