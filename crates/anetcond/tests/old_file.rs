//! The agent starts from the bash script's own file: the kernel shows the rules that it asked for, and the log says what to do.
//!
//! The old format cannot move the agent's folders, so each agent has mounts of its own over `/run`, `/var/log` and `/var/lib`.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]
#![allow(clippy::disallowed_methods, reason = "the agent is the program under test")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::netns::{Netns, wait_until};
use anetcon_testkit::ruleset::listing;
use serde_json::{Value, json};

const ANETCOND: &str = env!("CARGO_BIN_EXE_anetcond");

/// Ends a broken test; nothing here takes anywhere near as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes the mounts (`$0` is the agent's folder, which becomes /run/anetcon) and becomes the agent (`$2`) with the old file (`$1`).
const LAUNCH: &str = r#"
mkdir -p "$0/run"
mount --no-mtab -t tmpfs none "$0/run"
mkdir "$0/run/netns" "$0/run/anetcon"
mount --no-mtab --rbind /run/netns "$0/run/netns"
mount --no-mtab --bind "$0" "$0/run/anetcon"
mount --no-mtab -t tmpfs none /var/log
mount --no-mtab -t tmpfs none /var/lib
mkdir /var/log/anetcon /var/lib/anetcon
mount --no-mtab --move "$0/run" /run
exec "$2" -c "$1"
"#;

/// An agent that runs on an old file.
struct Old {
    agent: Agent,
    file: PathBuf,
}

impl Old {
    fn start(text: &str) -> Self {
        let mut agent = Agent::prepared(Path::new(ANETCOND), Configuration::auditing(&[]));
        let file = agent.folder().join("anetcon.conf");
        fs::write(&file, text).unwrap();
        let (folder, name) = (agent.folder().to_str().unwrap().to_owned(), file.to_str().unwrap());
        let mounts = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", LAUNCH];
        agent.launch_with(&[&mounts[..], &[&folder, name]].concat());
        agent.start_again();
        Self { agent, file }
    }

    fn reload(&self, text: &str) -> (u16, Value) {
        fs::write(&self.file, text).unwrap();
        let response = self.agent.request("POST", "/v1/reload").unwrap();
        (response.code, serde_json::from_str(&response.body).unwrap())
    }
}

/// What the script's file says for one namespace, with networks of it alone.
fn old_text(netns: &Netns) -> String {
    let name = netns.name();
    format!(
        "# Site file.\n\
         NAMESPACES=( '^\\({name}\\|none\\)$' )\n\
         NETS=( \"{name}\" \"10.0.0.0/8 192.168.1.1/24\" )\n\
         PERIOD=7\n\
         CHAIN_NAME=oldchain\n\
         LOG_PREFIX=\"[OLD]\"\n\
         LOG_NAMESPACE_HASH=false\n\
         NAMESPACE_HASH_FILE=\n"
    )
}

#[test]
fn the_kernel_has_the_rules_that_the_old_file_asked_for() {
    let netns = Netns::new("oldfile");
    let old = Old::start(&old_text(&netns));
    let status = old.agent.wait_audited(1);
    assert_eq!(status["period_seconds"], 7, "{status:#}");
    assert_eq!(status["configuration"]["file"], old.file.to_str().unwrap());

    let rules = listing(&netns, "oldchain");
    assert!(rules.contains("chain oldchain {"), "{rules}");
    assert!(rules.contains("10.0.0.0/8, 192.168.1.0/24"), "{rules}");
    let float = rules.lines().find(|line| line.contains("[OLD][D] ")).unwrap();
    let nat = rules.lines().find(|line| line.contains("[OLD][X] ")).unwrap();
    assert!(
        !float.contains('@') && nat.contains("ip saddr @"),
        "only outgoing ones are limited: {rules}"
    );

    let said = old.agent.stderr();
    let file = old.file.display();
    assert!(
        said.contains("WARN") && said.contains(&format!("`anetconctl migrate {file} --write`")),
        "{said}"
    );
}

#[test]
fn a_reload_reads_the_old_file_again() {
    let netns = Netns::new("oldagain");
    let old = Old::start(&old_text(&netns));
    old.agent.wait_audited(1);
    let (code, answer) = old.reload(&old_text(&netns).replace("[OLD]", "[NEW]"));
    assert_eq!(code, 200, "{answer}");
    assert_eq!(answer["changes"], json!([r#"log.prefix: "[OLD]" -> "[NEW]""#]));
    assert!(listing(&netns, "oldchain").contains("[NEW][X] "));

    let (code, answer) = old.reload("PERIOD=$(cat /etc/period)\n");
    assert_eq!(code, 422, "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("a command substitution is not expanded"), "{message}");
    assert!(message.contains("anetcon.conf:1:8"), "{message}");
    assert!(listing(&netns, "oldchain").contains("[NEW][X] "), "the rules are as they were");
    wait_until("the notice came twice", PATIENCE, || {
        old.agent.stderr().matches("anetconctl migrate").count() == 2
    });
}

#[test]
fn check_takes_the_old_file_and_executes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, trap) = (folder.path().join("anetcon.conf"), folder.path().join("trap"));
    let cases = [
        ("NAMESPACES=( default )\n".to_owned(), 0, ""),
        (format!("PERIOD=`touch {}`\n", trap.display()), 78, "a command substitution"),
        ("NAMESPACES=( 'a\\1' )\n".to_owned(), 78, "a back-reference"),
    ];
    for (text, code, part) in cases {
        fs::write(&file, &text).unwrap();
        let checked = Command::new("timeout")
            .args(["10", ANETCOND, "--check", "-c"])
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8(checked.stderr).unwrap();
        assert_eq!(checked.status.code(), Some(code), "{text}{said}");
        assert!(said.contains(part), "{text}{said}");
        assert!(!trap.exists(), "{text} was executed");
    }
}
