//! What an audit depends on besides the agent: each precondition, its state, and the line that mends it.
//!
//! `gather` reads the machine into `facts`, without changing anything; the checks (`kernel`, `logging`, `namespaces`, `rulesets`) are pure. A
//! fact that could not be read is never taken for a good one.

mod facts;
mod finding;
mod gather;
mod journal;
mod kernel;
mod logging;
mod namespaces;
mod rulesets;
mod shipped;
#[cfg(test)]
mod tests;

pub use facts::Facts;
pub use finding::{Finding, State};
pub use gather::gather;
pub use shipped::{logrotate, rsyslog};

/// Every check, in the order in which a line travels: kernel, namespaces, log files.
const CHECKS: &[fn(&Facts) -> Finding] = &[
    kernel::version,
    kernel::capabilities,
    kernel::nf_log_all_netns,
    kernel::log_backend,
    kernel::console,
    kernel::log_buffer,
    kernel::clock,
    namespaces::patterns,
    namespaces::hashes,
    namespaces::conntrack_events,
    namespaces::conntrack_table,
    rulesets::untracked,
    rulesets::nat_order,
    rulesets::old_chain,
    logging::rsyslog,
    logging::rsyslog_input,
    logging::rsyslog_file,
    logging::journald,
    logging::folder,
    logging::logrotate,
    logging::disk,
];

/// All findings.
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    CHECKS.iter().map(|check| check(facts)).collect()
}
