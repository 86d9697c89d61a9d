//! A machine on which all is well, and each way in which it may not be.

use std::path::PathBuf;
use std::time::Duration;

use anetcon_core::config::{Config, Writer};
use anetcon_core::ruleset::{ForeignChain, ForeignRule, Place, Ruleset};
use anetcon_core::table::BaseChain;

use super::facts::{Disk, Facts, Folder, Namespace, Ring};
use super::{State, diagnose, shipped};

const BACKENDS: &str =
    " 2 nf_log_ipv4 (nf_log_ipv4,nfnetlink_log)\n10 nf_log_ipv6 (nf_log_ipv6,nfnetlink_log)\n";

fn namespace(name: &str, hash: &str) -> Namespace {
    let number = |value: &str| Ok(format!("{value}\n"));
    let (events, count, max) = (number("2"), number("100"), number("262144"));
    let (name, hash) = (name.to_owned(), hash.to_owned());
    let (ruleset, legacy) = (Ok(Ruleset::default()), number(""));
    Namespace { name, hash, selected: true, events, count, max, ruleset, legacy }
}

fn fine() -> Facts {
    let config = Config::default();
    Facts {
        user: "anetcon".to_owned(),
        capabilities: Some(0x1ff_ffff_ffff),
        agent: true,
        release: "6.12.48+deb13-amd64".to_owned(),
        nf_log_all_netns: Ok("1\n".to_owned()),
        log_backends: Ok(BACKENDS.to_owned()),
        printk: Ok("4\t4\t1\t7\n".to_owned()),
        consoles: Ok("tty0                 -WU (EC  p  )    4:7\n".to_owned()),
        ring: Ok(Ring { span: Duration::from_secs(3600), full: true, ours: 100 }),
        clock: Ok(true),
        namespaces: vec![namespace("qrouter-1", "11111111"), namespace("qrouter-2", "22222222")],
        rsyslogd: true,
        rsyslog: vec![
            (PathBuf::from("/etc/rsyslog.conf"), "module(load=\"imklog\")\n".to_owned()),
            (PathBuf::from("/etc/rsyslog.d/30-anetcon.conf"), shipped::rsyslog(&config)),
        ],
        journal_missed: Some(0),
        log_folder: Some(Folder { owner: "anetcon".into(), group: "adm".into(), mode: 0o40750 }),
        logrotate: true,
        rotated: true,
        disk: Some(Disk { free: 100 << 30, daily: 1 << 30 }),
        config,
    }
}

fn pattern(config: &mut Config, text: &str) {
    *config = anetcon_core::config::parse(&format!("namespaces = ['{text}']")).unwrap();
}

#[test]
fn all_is_well_on_a_machine_as_it_should_be() {
    for finding in diagnose(&fine()) {
        assert_eq!(finding.state, State::Ok, "{finding:?}");
        assert_eq!(finding.fix, None, "{finding:?}");
    }
}

type Break = fn(&mut Facts);

/// The check, what is broken, and a part of the line that mends it.
/// A chain at postrouting, and perhaps a rule that untracks, in the first namespace.
fn foreign(
    facts: &mut Facts,
    family: &'static str,
    table: &str,
    chain: &str,
    priority: Option<i32>,
) {
    let place = Place { family, table: table.to_owned(), chain: chain.to_owned() };
    let base =
        priority.map(|priority| BaseChain { kind: "nat".to_owned(), hook: 4, priority, policy: 1 });
    let ruleset = facts.namespaces[0].ruleset.as_mut().unwrap();
    ruleset.chains.push(ForeignChain { place, base });
}

fn untracked(facts: &mut Facts) {
    let place = Place { family: "ip", table: "raw".to_owned(), chain: "PREROUTING".to_owned() };
    facts.namespaces[0].ruleset.as_mut().unwrap().untracked.push(ForeignRule { place, handle: 7 });
}

const BROKEN: [(&str, Break, &str); 30] = [
    ("kernel", |facts| facts.release = "5.10.0-30-amd64".into(), "5.14"),
    ("capabilities", |facts| facts.capabilities = Some(1 << 12), "systemctl revert"),
    (
        "nf_log_all_netns",
        |facts| facts.nf_log_all_netns = Ok("0\n".into()),
        "sysctl -w net.netfilter.nf_log_all_netns=1",
    ),
    ("nf_log_all_netns", |facts| facts.nf_log_all_netns = Err("not there".into()), "modprobe"),
    (
        "log_backend",
        |facts| {
            facts.log_backends =
                Ok(" 2 NONE (nfnetlink_log)\n10 nf_log_ipv6 (nf_log_ipv6)\n".into())
        },
        "modprobe nf_log_syslog",
    ),
    ("console", |facts| facts.printk = Ok("7\t4\t1\t7\n".into()), "sysctl -w kernel.printk=4"),
    (
        "log_buffer",
        |facts| facts.ring = Ok(Ring { span: Duration::from_secs(2), full: true, ours: 9 }),
        "log_buf_len=16M",
    ),
    ("clock", |facts| facts.clock = Ok(false), "timedatectl set-ntp true"),
    ("patterns", |facts| pattern(&mut facts.config, "^qruoter-"), "namespaces"),
    ("hashes", |facts| facts.namespaces.push(namespace("qrouter-3", "11111111")), "log.namespace"),
    (
        "conntrack_events",
        |facts| facts.namespaces[1].events = Ok("0\n".into()),
        "ip netns exec qrouter-2 sysctl -w net.netfilter.nf_conntrack_events=1",
    ),
    (
        "conntrack_table",
        |facts| facts.namespaces[0].count = Ok("250000\n".into()),
        "sysctl -w net.netfilter.nf_conntrack_max=524288",
    ),
    ("rsyslog", |facts| facts.rsyslogd = false, "apt-get install rsyslog"),
    (
        "rsyslog_input",
        |facts| facts.rsyslog[0].1 = "#module(load=\"imklog\")\n".into(),
        "10-imklog.conf",
    ),
    (
        "rsyslog_input",
        |facts| facts.rsyslog[0].1 = "module(load=\"imjournal\")\n".into(),
        "10-imklog.conf",
    ),
    ("rsyslog_file", |facts| drop(facts.rsyslog.pop()), "--print rsyslog"),
    ("rsyslog_file", |facts| facts.config.log.prefixes.dnat = "[F]".into(), "--print rsyslog"),
    ("rsyslog_file", |facts| facts.config.log.directory = "/srv/log".into(), "--print rsyslog"),
    ("journald", |facts| facts.journal_missed = Some(3), "log_buf_len"),
    (
        "log_folder",
        |facts| facts.rsyslog[0].1.push_str("$PrivDropToUser syslog\n"),
        "install -d -o anetcon -g adm -m 750 /var/log/anetcon && setfacl -m u:syslog:rwx",
    ),
    (
        "log_folder",
        |facts| {
            facts.log_folder = None;
            facts.rsyslog[0].1.push_str("$PrivDropToUser syslog\n");
        },
        "setfacl -m u:syslog:rwx /var/log/anetcon",
    ),
    (
        "log_folder",
        |facts| facts.log_folder.as_mut().unwrap().owner = "root".into(),
        "install -d -o anetcon",
    ),
    ("logrotate", |facts| facts.logrotate = false, "apt-get install logrotate"),
    ("logrotate", |facts| facts.rotated = false, "--print logrotate"),
    ("disk", |facts| facts.disk = Some(Disk { free: 3 << 30, daily: 1 << 30 }), "make room"),
    (
        "conntrack_events",
        |facts| facts.namespaces[0].events = Ok("0".into()),
        "nf_conntrack_events",
    ),
    ("notrack", untracked, "ip netns exec qrouter-1 nft delete rule ip raw PREROUTING handle 7"),
    (
        "nat_order",
        |facts| foreign(facts, "ip", "early", "post", Some(-160)),
        "rules.priority = -161",
    ),
    ("nat_order", |facts| foreign(facts, "inet", "early", "post", Some(-199)), "higher priority"),
    (
        "old_chain",
        |facts| foreign(facts, "ip", "nat", "anetcon", None),
        "iptables -t nat -X anetcon",
    ),
];

#[test]
fn each_thing_that_is_broken_is_named_with_what_mends_it() {
    for (check, damage, mends) in BROKEN {
        let mut facts = fine();
        damage(&mut facts);
        let wrong: Vec<_> =
            diagnose(&facts).into_iter().filter(|finding| finding.state == State::Wrong).collect();
        assert_eq!(wrong.iter().map(|finding| finding.check).collect::<Vec<_>>(), [check]);
        let fix = wrong[0].fix.as_deref().unwrap();
        assert!(fix.contains(mends), "{check}: {fix}");
    }
}

/// What cannot be read is never fine.
#[test]
fn what_cannot_be_read_is_not_taken_for_good() {
    let unread: [(&str, Break); 11] = [
        ("old_chain", |facts| facts.namespaces[0].legacy = Ok("filter\nnat\n".into())),
        ("kernel", |facts| facts.release = "odd".into()),
        ("capabilities", |facts| facts.capabilities = None),
        ("log_backend", |facts| facts.log_backends = Err("no".into())),
        ("console", |facts| facts.printk = Err("no".into())),
        ("log_buffer", |facts| facts.ring = Err("no".into())),
        ("clock", |facts| facts.clock = Err("no".into())),
        ("conntrack_events", |facts| facts.namespaces[0].events = Err("no".into())),
        ("conntrack_table", |facts| facts.namespaces[0].count = Err("no".into())),
        ("journald", |facts| facts.journal_missed = None),
        ("disk", |facts| facts.disk = None),
    ];
    for (check, damage) in unread {
        let mut facts = fine();
        damage(&mut facts);
        let odd: Vec<_> =
            diagnose(&facts).into_iter().filter(|finding| finding.state != State::Ok).collect();
        let told: Vec<_> = odd.iter().map(|finding| (finding.check, finding.state)).collect();
        assert_eq!(told, [(check, State::CannotTell)]);
    }
}

/// Chains as they may be.
#[test]
fn what_others_do_elsewhere_is_no_fault() {
    let mut facts = fine();
    foreign(&mut facts, "ip", "nat", "POSTROUTING", Some(100));
    foreign(&mut facts, "inet", "anetcon", "anetcon", Some(-150));
    foreign(&mut facts, "ip", "nat", "neutron-postrouting", None);
    assert!(diagnose(&facts).iter().all(|finding| finding.state == State::Ok));
}

#[test]
fn what_rsyslog_needs_is_not_asked_where_the_agent_writes() {
    let mut facts = fine();
    facts.config.log.writer = Writer::Agent;
    (facts.rsyslogd, facts.rsyslog) = (false, Vec::new());
    let findings = diagnose(&facts);
    assert!(findings.iter().all(|finding| finding.state != State::Wrong), "{findings:#?}");
    let unused = findings.iter().filter(|finding| finding.state == State::NotUsed);
    assert_eq!(unused.count(), 3);
}
