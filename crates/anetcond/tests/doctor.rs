//! What the doctor says of an agent that runs, and that its advice mends it.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

use std::path::Path;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::netns::Netns;
use anetcon_testkit::patched::Patched;

const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// The machine whose agent this is.
fn machine<'a>(agent: &Agent) -> Patched<'a> {
    let programs = Path::new(ANETCOND).parent().unwrap();
    let configuration = std::fs::read_to_string(agent.configuration_path()).unwrap();
    Patched::new(programs, &configuration)
}

/// The agent itself puts the real sysctl back within moments, so the doctor is shown another one.
#[test]
fn lines_of_namespaces_that_are_off_are_mended_by_the_advice() {
    let netns = Netns::new("doctorlog");
    let agent = Agent::start(Path::new(ANETCOND), Configuration::auditing(&[netns.name()]));
    let mut machine = machine(&agent);
    machine.lay("/proc/sys/net/netfilter/nf_log_all_netns", "0\n");
    machine.broken_and_mended("nf_log_all_netns");
}

/// The advice takes a drop-in of the unit away and starts the agent again; here the test does both.
#[test]
fn a_missing_capability_is_told_until_the_agent_has_it() {
    let netns = Netns::new("doctorcap");
    let mut agent = Agent::prepared(Path::new(ANETCOND), Configuration::auditing(&[netns.name()]));
    agent.launch_with(&["setpriv", "--bounding-set=-sys_admin", "--"]);
    agent.start_again();
    let machine = machine(&agent);
    let advice = machine.advice("capabilities");
    assert_eq!(advice, "systemctl revert anetcon.service && systemctl restart anetcon.service");
    agent.stop();
    agent.launch_with(&[]);
    agent.start_again();
    machine.assert_ok("capabilities");
}
