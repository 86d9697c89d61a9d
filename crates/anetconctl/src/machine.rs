//! The way to the kernel for the commands that work without the agent.

use anetcon_core::config::Config;
use anetcon_core::netns::NetnsName;
use anetcon_host::{Error, Host};
use anyhow::anyhow;

use crate::exit::{Exit, Failure};

/// `CAP_NET_ADMIN` and `CAP_SYS_ADMIN` (linux/capability.h): to read rules, and to enter a namespace.
const NEEDED: u64 = 1 << 12 | 1 << 21;

/// What [`namespaces`] found.
#[derive(Debug)]
pub struct Namespaces {
    /// The root namespace, then the named ones sorted by name.
    pub names: Vec<NetnsName>,
    /// A sentence for each file that can be no namespace of ours.
    pub skipped: Vec<String>,
}

/// The namespaces there are now. Needs no privilege.
///
/// # Errors
/// A folder cannot be looked into.
pub fn namespaces(host: &Host) -> Result<Namespaces, Failure> {
    let listing = host.list().map_err(|error| Failure::new(Exit::CannotTell, error))?;
    let named = listing.namespaces.into_iter().map(|listed| listed.name);
    let names = std::iter::once(NetnsName::root()).chain(named).collect();
    let skipped = listing
        .skipped
        .iter()
        .map(|skipped| format!("{} is left out: {}", skipped.path.display(), skipped.reason))
        .collect();
    Ok(Namespaces { names, skipped })
}

/// The way into the namespaces of this machine.
///
/// # Errors
/// [`Exit::CannotTell`] without the privilege to enter them.
pub fn open(config: &Config) -> Result<Host, Failure> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if lacks_privilege(&status) {
        let error = anyhow!("no permission to read the rules of other network namespaces");
        return Err(Failure::new(Exit::CannotTell, error).help("run this as root"));
    }
    start(config)
}

/// The same for those who only want to know which there are.
///
/// # Errors
/// There is no thread to be had.
pub fn start(config: &Config) -> Result<Host, Failure> {
    Host::start(config.namespace_directories.clone())
        .map_err(|error| Failure::new(Exit::CannotTell, error))
}

/// Whether the file turned out to be no namespace: nothing is mounted on it (yet), so it has no rules.
pub fn is_no_namespace(error: &Error) -> bool {
    matches!(error, Error::Enter { source, .. } if source.retry())
}

/// Whether proc(5) says that a capability is missing. If it says nothing, the kernel will.
fn lacks_privilege(status: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    effective.is_some_and(|effective| effective & NEEDED != NEEDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privilege_is_read_from_proc() {
        let cases = [
            ("Name:\tx\nCapEff:\t000001ffffffffff\n", false),
            ("CapEff:\t0000000000201000\n", false),
            ("CapEff:\t0000000000001000\n", true),
            ("CapEff:\t0000000000000000\n", true),
            ("CapEff:\tnonsense\n", false),
            ("", false),
        ];
        for (status, lacks) in cases {
            assert_eq!(lacks_privilege(status), lacks, "{status:?}");
        }
    }
}
