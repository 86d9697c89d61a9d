//! What the bash script left is taken out of the tables of iptables-nft, and nothing else; iptables writes it and reads it back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it must be"
)]

mod common;

use anetcon_core::takeover::{self, Removal};
use common::Place;

/// The rules of the script, as it made them, beside those of others.
const SCRIPT: [&str; 8] = [
    "-N other",
    "-A other -s 10.1.0.0/16 -j ACCEPT",
    "-A POSTROUTING -j other",
    "-N anetcon",
    "-I POSTROUTING -j anetcon",
    "-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE",
    "-A anetcon -p tcp -m tcp -m state --state NEW -m conntrack --ctstate DNAT -j LOG --log-prefix [ANETCON][D][0123]",
    "-A anetcon -s 10.0.0.0/8 -p tcp -m tcp -m state --state NEW -m conntrack ! --ctstate DNAT -j LOG --log-prefix [ANETCON][X][0123]",
];

fn iptables(place: &Place, program: &str, rule: &str) -> String {
    let mut command = place.netns.command(program);
    let output = command.args(["-t", "nat"]).args(rule.split(' ')).output().unwrap();
    assert!(output.status.success(), "{rule}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn with_script(label: &str) -> Place {
    let place = Place::new(label);
    for rule in SCRIPT {
        iptables(&place, "iptables-nft", rule);
    }
    place
}

fn removal(place: &mut Place) -> Removal {
    let (removal, kept) = takeover::find(&place.rules.nat_tables().unwrap(), "anetcon");
    assert_eq!(kept, []);
    removal.unwrap()
}

#[test]
fn the_chain_is_taken_away_and_the_rules_of_others_stay() {
    let mut place = with_script("takeover");
    for rule in ["-N anetcon", "-A POSTROUTING -j anetcon", "-A anetcon -j LOG"] {
        iptables(&place, "ip6tables-nft", rule);
    }
    let others: Vec<String> = iptables(&place, "iptables-nft", "-S")
        .lines()
        .filter(|line| !line.contains("anetcon"))
        .map(str::to_owned)
        .collect();
    let removal = removal(&mut place);
    assert_eq!(removal.chains.len(), 2, "{removal:?}");
    assert_eq!(removal.chains[0].jumps.len(), 1);
    assert_eq!(removal.chains[0].rules.len(), 2);
    place.rules.take_away(&removal).unwrap();

    let left: Vec<String> =
        iptables(&place, "iptables-nft", "-S").lines().map(str::to_owned).collect();
    assert_eq!(left, others);
    assert!(!iptables(&place, "ip6tables-nft", "-S").contains("anetcon"));
    assert_eq!(takeover::find(&place.rules.nat_tables().unwrap(), "anetcon"), (None, vec![]));
}

#[test]
fn nothing_is_removed_if_anything_was_changed_meanwhile() {
    let mut place = with_script("meanwhile");
    let removal = removal(&mut place);
    iptables(&place, "iptables-nft", "-A anetcon -s 192.0.2.1 -j ACCEPT");
    let before = iptables(&place, "iptables-nft", "-S");
    let refused = place.rules.take_away(&removal).unwrap_err();
    assert!(refused.is_outdated(), "{refused:?}");
    assert_eq!(iptables(&place, "iptables-nft", "-S"), before);
}

#[test]
fn a_chain_that_is_not_empty_is_never_deleted() {
    let mut place = with_script("notempty");
    let mut removal = removal(&mut place);
    removal.chains[0].rules.pop();
    let before = iptables(&place, "iptables-nft", "-S");
    let refused = place.rules.take_away(&removal).unwrap_err();
    assert!(refused.to_string().contains("the chain anetcon"), "{refused}");
    assert_eq!(iptables(&place, "iptables-nft", "-S"), before);
}

#[test]
fn a_chain_with_more_than_log_rules_is_told_apart() {
    let mut place = with_script("more");
    iptables(&place, "iptables-nft", "-A anetcon -s 192.0.2.1 -j ACCEPT");
    let (removal, kept) = takeover::find(&place.rules.nat_tables().unwrap(), "anetcon");
    assert_eq!((removal, kept.len()), (None, 1));
    assert!(kept[0].why.contains("does more than log"), "{kept:?}");
}

/// nft's own words for the same rules are understood, too.
#[test]
fn a_log_rule_of_nft_is_a_log_rule() {
    let mut place = Place::new("native");
    place.nft_file(
        "add table ip nat
         add chain ip nat POSTROUTING { type nat hook postrouting priority srcnat; }
         add chain ip nat anetcon
         add rule ip nat POSTROUTING counter jump anetcon
         add rule ip nat anetcon ip saddr 10.0.0.0/8 ct state new counter log prefix \"[A] \"",
    );
    let removal = removal(&mut place);
    place.rules.take_away(&removal).unwrap();
    assert!(!place.nft(&["list", "ruleset"]).contains("anetcon"));
}
