//! The agent's runner: what it does with a program that is not an agent.

use std::path::Path;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;

#[test]
#[should_panic(expected = "ended with exit status: 1 instead of getting ready")]
fn a_program_that_ends_is_not_taken_for_an_agent() {
    Agent::start(Path::new("/bin/false"), Configuration::auditing(&["nothing"]));
}

#[test]
fn agents_have_nothing_in_common() {
    let binary = Path::new("/bin/true");
    let [one, two] = [(); 2].map(|()| Agent::prepared(binary, Configuration::auditing(&["same"])));
    let read = |agent: &Agent| std::fs::read_to_string(agent.configuration_path()).unwrap();
    let (one, two) = (read(&one), read(&two));
    for (line, other) in one.lines().zip(two.lines()) {
        let own = ["table", "chain", "prefix", "directory", "hash_file", "socket", "file"]
            .iter()
            .any(|key| line.split(" = ").next() == Some(key));
        assert_eq!(line != other, own, "{line:?} and {other:?}");
    }
}
