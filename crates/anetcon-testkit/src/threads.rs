//! The threads of a process as the kernel schedules them, read from /proc.

use std::fs;

/// A thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its name, up to 15 characters.
    pub name: String,
    /// `SCHED_*` of sched(7): 0 is ordinary, 1 is `SCHED_FIFO`.
    pub policy: u32,
    /// The real-time priority; 0 where the policy is ordinary.
    pub priority: u32,
    /// What it does: `R` runs, `S` sleeps, `T` is stopped by a signal.
    pub state: char,
}

/// The threads of a process now. Those that end meanwhile are left out.
///
/// # Panics
/// If there is no such process.
pub fn threads(pid: u32) -> Vec<Thread> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let stat = |task: fs::DirEntry| fs::read_to_string(task.path().join("stat")).ok();
    tasks.filter_map(Result::ok).filter_map(stat).map(|stat| parse(&stat)).collect()
}

/// `/proc/PID/task/TID/stat`, see proc_pid_stat(5): the name stands in parentheses and may hold any character.
fn parse(stat: &str) -> Thread {
    let (_, rest) = stat.split_once('(').expect("a name");
    let (name, rest) = rest.rsplit_once(')').expect("the end of the name");
    // The field after the name is number 3; 40 is rt_priority, 41 is policy.
    let field = |number: usize| {
        rest.split_whitespace()
            .nth(number - 3)
            .and_then(|text| text.parse().ok())
            .expect("a number")
    };
    let state = rest.trim_start().chars().next().expect("a state");
    Thread { name: name.to_owned(), policy: field(41), priority: field(40), state }
}
