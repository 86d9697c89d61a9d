//! `migrate --takeover` on the real kernel: iptables makes what the script made, and reads back what is left.

#![allow(clippy::disallowed_methods, reason = "what is told to be run is run")]

mod common;

use std::fs;

use anetcon_testkit::netns::Netns;
use common::{Ran, ran, tool, write};
use serde_json::Value;

/// What others have in the table, with counts of their own.
const OTHERS: [&str; 4] = [
    "-N other",
    "-A other -s 10.1.0.0/16 -c 7 700 -j ACCEPT",
    "-A POSTROUTING -c 5 500 -j other",
    "-A POSTROUTING -s 10.0.0.0/8 -c 3 300 -j MASQUERADE",
];

/// What the script made.
const SCRIPT: [&str; 4] = [
    "-N anetcon",
    "-I POSTROUTING -j anetcon",
    "-A anetcon -p tcp -m tcp -m state --state NEW -m conntrack --ctstate DNAT -j LOG --log-prefix [ANETCON][D][0123]",
    "-A anetcon -s 10.0.0.0/8 -p tcp -m tcp -m state --state NEW -m conntrack ! --ctstate DNAT -j LOG --log-prefix [ANETCON][X][0123]",
];

/// An old file that selects these namespaces and no others.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn selecting(namespaces: &[&Netns]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let patterns: Vec<String> =
            namespaces.iter().map(|netns| format!("'^{}$'", netns.name())).collect();
        write(folder.path(), "anetcon.conf", &format!("NAMESPACES=( {} )\n", patterns.join(" ")));
        Self { folder }
    }

    fn migrate(&self, arguments: &[&str]) -> Ran {
        let mut command = tool(&["migrate"]);
        command.arg(self.folder.path().join("anetcon.conf")).args(arguments);
        ran(command)
    }
}

fn iptables(netns: &Netns, program: &str, arguments: &[&str]) -> String {
    let mut command = netns.command(program);
    command.args(arguments);
    let ran = ran(command);
    assert_eq!(ran.code, Some(0), "{program} {arguments:?}: {ran:?}");
    ran.stdout
}

fn rules(netns: &Netns, program: &str, rules: &[&str]) {
    for rule in rules {
        let words: Vec<&str> = ["-t", "nat"].into_iter().chain(rule.split(' ')).collect();
        iptables(netns, program, &words);
    }
}

fn with_script(label: &str) -> Netns {
    let netns = Netns::new(label);
    rules(&netns, "iptables-nft", &OTHERS);
    rules(&netns, "iptables-nft", &SCRIPT);
    netns
}

/// Everything with its counts, without the comments that hold the time.
fn saved(netns: &Netns) -> Vec<String> {
    let text = iptables(netns, "iptables-nft-save", &["-c"]);
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// The handles in nft's listing: a rule that was made again has another one.
fn handles(netns: &Netns) -> String {
    iptables(netns, "nft", &["-a", "list", "ruleset"])
}

#[test]
fn the_scripts_chain_goes_and_the_rules_and_counts_of_others_stay() {
    let (one, two, bystander) = (with_script("tkone"), with_script("tktwo"), with_script("tkby"));
    let scene = Scene::selecting(&[&one, &two]);
    let (before, bystanders, listed) = (saved(&one), saved(&bystander), handles(&one));

    let dry = scene.migrate(&["--takeover", "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{dry:?}");
    let step = format!(
        "{}: would be removed: the chain anetcon of ip nat, its log rules (2), with the jump from POSTROUTING",
        one.name()
    );
    assert!(dry.stdout.contains(&step), "{dry:?}");
    assert!(dry.stdout.contains("2 namespaces looked into, 2 chains would be removed"), "{dry:?}");
    assert_eq!((saved(&one), handles(&one)), (before.clone(), listed.clone()));

    let done = scene.migrate(&["--takeover"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    assert!(
        done.stdout.contains(&format!("{}: removed: the chain anetcon of ip nat", two.name())),
        "{done:?}"
    );
    let others: Vec<String> = before.into_iter().filter(|line| !line.contains("anetcon")).collect();
    for netns in [&one, &two] {
        assert_eq!(saved(netns), others);
    }
    for line in handles(&one).lines() {
        assert!(listed.contains(line), "{line} is not as it was in\n{listed}");
    }
    assert_eq!(saved(&bystander), bystanders, "a namespace that is not selected was touched");

    let again = scene.migrate(&["--takeover"]);
    assert!(
        again.stdout.starts_with("2 namespaces looked into, 0 chains removed, 0 things"),
        "{again:?}"
    );
}

/// The agent runs already when the script's chain goes.
#[test]
fn our_own_table_stays_as_it_is() {
    let netns = with_script("tkours");
    let ours = "add table inet anetcon; add chain inet anetcon anetcon { type nat hook postrouting priority -150; }; \
                add rule inet anetcon anetcon meta l4proto tcp ct state new counter packets 9 bytes 900 log prefix \"[ANETCON][X] \"";
    iptables(&netns, "nft", &[ours]);
    let listed = || iptables(&netns, "nft", &["-a", "list", "table", "inet", "anetcon"]);
    let before = listed();
    assert!(before.contains("packets 9"), "{before}");
    assert_eq!(Scene::selecting(&[&netns]).migrate(&["--takeover"]).code, Some(0));
    assert_eq!(listed(), before);
    assert!(!saved(&netns).iter().any(|line| line.contains("-j anetcon")));
}

/// A removal that was made for another ruleset is made again; nothing that is added meanwhile is lost.
#[test]
fn rules_that_others_add_meanwhile_are_kept() {
    const ADDED: usize = 20;
    let netns = with_script("tkbusy");
    let scene = Scene::selecting(&[&netns]);
    let done = std::thread::scope(|scope| {
        let adding = scope.spawn(|| {
            for number in 0..ADDED {
                rules(
                    &netns,
                    "iptables-nft",
                    &[&format!("-A other -s 192.0.2.{number} -j ACCEPT")],
                );
            }
        });
        let done = scene.migrate(&["--takeover"]);
        adding.join().expect("all rules are added");
        done
    });
    assert_eq!(done.code, Some(0), "{done:?}");
    let left = saved(&netns);
    assert!(!left.iter().any(|line| line.contains("anetcon")), "{left:?}");
    assert_eq!(left.iter().filter(|line| line.contains("-s 192.0.2.")).count(), ADDED);
}

#[test]
fn a_chain_that_others_use_stays_and_the_commands_are_told() {
    let netns = with_script("tkmixed");
    rules(&netns, "iptables-nft", &["-A anetcon -s 192.0.2.1 -j ACCEPT"]);
    let scene = Scene::selecting(&[&netns]);
    let before = saved(&netns);
    let kept = scene.migrate(&["--takeover"]);
    assert_eq!(kept.code, Some(1), "{kept:?}");
    assert!(kept.stdout.contains("does more than log"), "{kept:?}");
    let look = format!("    ip netns exec {} iptables-nft -t nat -S anetcon\n", netns.name());
    assert!(kept.stdout.contains(&look), "{kept:?}");
    assert_eq!(saved(&netns), before);
}

/// What is told for a legacy table does what it says: it is run here word for word.
#[test]
fn a_legacy_table_is_told_of_with_the_commands_that_remove_the_chain() {
    let netns = Netns::new("tklegacy");
    rules(&netns, "iptables-legacy", &OTHERS[..2]);
    rules(&netns, "iptables-legacy", &SCRIPT);
    let scene = Scene::selecting(&[&netns]);
    let told = scene.migrate(&["--takeover", "--json"]);
    assert_eq!(told.code, Some(1), "{told:?}");
    let document: Value = serde_json::from_str(&told.stdout).expect("JSON");
    let taken = &document["takeover"]["taken"];
    assert_eq!(taken.as_array().map(Vec::len), Some(1), "{document:#}");
    assert_eq!(taken[0]["state"], "legacy");
    let run = |index: usize| {
        let line = taken[0]["run"][index].as_str().expect("a command");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", line]);
        let ran = ran(shell);
        assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
        ran.stdout
    };
    assert!(run(0).contains("-A anetcon -p tcp"));
    assert_eq!(run(1), "");
    let left = iptables(&netns, "iptables-legacy-save", &["-t", "nat", "-c"]);
    assert!(!left.contains("anetcon") && left.contains("[7:700] -A other"), "{left}");
}

#[test]
fn a_namespace_with_nothing_of_the_scripts_needs_nothing() {
    let netns = Netns::new("tkclean");
    let scene = Scene::selecting(&[&netns]);
    let clean = scene.migrate(&["--takeover"]);
    assert_eq!(clean.code, Some(0), "{clean:?}");
    assert_eq!(clean.stdout, "1 namespace looked into, 0 chains removed, 0 things left to you.\n");
    assert_eq!(iptables(&netns, "nft", &["list", "ruleset"]), "");
}

#[test]
fn a_bad_file_touches_no_rule() {
    let netns = with_script("tkbad");
    let scene = Scene::selecting(&[&netns]);
    let file = scene.folder.path().join("anetcon.conf");
    let text = fs::read_to_string(&file).expect("a file") + "CHAIN_NAME=$(hostname)\n";
    fs::write(&file, text).expect("a file");
    let before = saved(&netns);
    assert_eq!(scene.migrate(&["--takeover"]).code, Some(78));
    assert_eq!(saved(&netns), before);
    assert_eq!(scene.migrate(&["--dry-run"]).code, Some(2));
}

#[test]
fn without_privilege_no_namespace_is_looked_into() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), "anetcon.conf", "NAMESPACES=( none )\n");
    // Nobody may look into a temporary folder of root's.
    let shared = std::path::Path::new("/dev/shm")
        .join(format!("{}.conf", anetcon_testkit::netns::unique("tk")));
    fs::copy(file, &shared).expect("a file that all may read");
    let refused = ran(common::unprivileged(&["migrate", &shared.to_string_lossy(), "--takeover"]));
    fs::remove_file(&shared).expect("the file");
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("help: run this as root"), "{refused:?}");
}
