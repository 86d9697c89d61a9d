//! The demo: a router with SNAT and a floating IP in throw-away namespaces, audited by the agent.
//!
//! What the spectator sees is printed to stdout. Nothing may stay behind, also when interrupted.

use std::path::Path;

/// Runs the whole demo with `anetcond` and `anetconctl` from the folder `binaries`; needs root.
///
/// # Errors
/// When a step does not do what the demo promises, with the step's name.
pub fn run(binaries: &Path) -> anyhow::Result<()> {
    anyhow::bail!("the demo with {} is not written yet", binaries.display())
}
