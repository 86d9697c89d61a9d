//! `doctor` on a machine that is broken and mended by its own advice: an /etc of the test's own, and a namespace.
#![allow(clippy::unwrap_used, reason = "a test ends here")]
#![allow(clippy::disallowed_methods, reason = "what doctor advises is done as it says")]
#![allow(
    clippy::indexing_slicing,
    reason = "a missing member of a JSON document is null, not a panic"
)]

use std::fs;
use std::path::Path;

use anetcon_testkit::loopback::Loopback;
use anetcon_testkit::netns::Netns;
use anetcon_testkit::patched::Patched;

fn machine<'a>(configuration: &str) -> Patched<'a> {
    let programs = Path::new(env!("CARGO_BIN_EXE_anetconctl")).parent().unwrap();
    Patched::new(programs, configuration)
}

#[test]
fn the_files_of_others_are_mended_by_the_advice() {
    let machine = machine(
        "log.prefix = '[DR]'\nlog.directory = '/etc/dr-log'\nrecords.file = '/etc/dr-log/dr.ndjson'\n",
    );
    machine.broken_and_mended("rsyslog_file");
    let checked = machine.shell("rsyslogd -N1 -f /etc/rsyslog.d/30-anetcon.conf");
    assert!(checked.status.success(), "{checked:?}");
    machine.configure("log.prefix = '[DS]'\nlog.directory = '/etc/dr-log'\nrecords.file = '/etc/dr-log/dr.ndjson'\n");
    machine.broken_and_mended("rsyslog_file");

    machine.broken_and_mended("logrotate");
    let checked = machine.shell("logrotate -d /etc/logrotate.d/anetcon");
    assert!(checked.status.success(), "{checked:?}");
    assert!(
        String::from_utf8_lossy(&checked.stderr).contains("considering log /etc/dr-log/dr.ndjson")
    );

    assert!(machine.shell("sed -i /imklog/d /etc/rsyslog.conf").status.success());
    machine.broken_and_mended("rsyslog_input");
    let journal = "rm /etc/rsyslog.d/10-imklog.conf; sed -i '1i module(load=\"imjournal\")' /etc/rsyslog.conf";
    assert!(machine.shell(journal).status.success());
    machine.broken_and_mended("rsyslog_input");

    assert!(machine.shell("echo '$PrivDropToUser nobody' >> /etc/rsyslog.conf").status.success());
    assert!(machine.advice("log_folder").contains("setfacl -m u:nobody:rwx"));
    machine.broken_and_mended("log_folder");
    assert!(
        machine.shell("setpriv --reuid nobody --clear-groups touch /etc/dr-log/x").status.success()
    );
    assert!(machine.shell("useradd --system anetcon && setfacl -b /etc/dr-log").status.success());
    machine.broken_and_mended("log_folder");
    for user in ["nobody", "anetcon"] {
        let touch = format!("setpriv --reuid {user} --clear-groups touch /etc/dr-log/{user}");
        assert!(machine.shell(&touch).status.success(), "{user} writes there");
    }
}

#[test]
fn rules_of_others_are_mended_by_the_advice() {
    let netns = Netns::new("doctorrules");
    let machine = machine(&format!("namespaces = ['^{}$']\n", netns.name()));
    let run = |words: &[&str]| {
        let output = netns.command(words[0]).args(&words[1..]).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
    };
    for check in ["notrack", "nat_order", "old_chain"] {
        assert_eq!(machine.finding(check)["state"], "ok", "{check}");
    }
    run(&["iptables-nft", "-t", "raw", "-A", "PREROUTING", "-j", "CT", "--notrack"]);
    machine.broken_and_mended("notrack");
    run(&[
        "nft",
        "add table inet other; add chain inet other pre { type filter hook prerouting priority -300 ; }",
    ]);
    run(&["nft", "add rule inet other pre udp dport 53 notrack"]);
    machine.broken_and_mended("notrack");

    // As the bash script made it.
    run(&["iptables-nft", "-t", "nat", "-N", "anetcon"]);
    run(&["iptables-nft", "-t", "nat", "-I", "POSTROUTING", "-j", "anetcon"]);
    machine.broken_and_mended("old_chain");

    run(&["nft", "add chain inet other nat { type nat hook postrouting priority -160 ; }"]);
    let finding = machine.finding("nat_order");
    assert_eq!(finding["fix"], "set rules.priority = -161 in the configuration", "{finding:#}");
    machine.configure(&format!("namespaces = ['^{}$']\nrules.priority = -161\n", netns.name()));
    assert_eq!(machine.finding("nat_order")["state"], "ok");
}

#[test]
fn settings_of_a_namespace_are_mended_by_the_advice() {
    let netns = Netns::new("doctor");
    let machine = machine(&format!("namespaces = ['^{}$']\n", netns.name()));
    let set =
        |value: &str| netns.run(|| fs::write("/proc/sys/net/netfilter/nf_conntrack_events", value));
    assert_eq!(machine.finding("conntrack_events")["state"], "ok");
    assert_eq!(machine.finding("patterns")["state"], "ok");
    set("0").unwrap();
    machine.broken_and_mended("conntrack_events");
    machine.configure("namespaces = ['^at-no-such-namespace$']\n");
    assert_eq!(
        machine.advice("patterns"),
        "ip netns list, and correct `namespaces` in the configuration"
    );
    machine.configure(&format!("namespaces = ['^{}$']\n", netns.name()));
    machine.assert_ok("patterns");
}

/// The limit is one for all namespaces of the machine, so the real one stays as it is.
#[test]
fn a_full_table_of_connections_is_mended_by_the_advice() {
    let netns = Netns::new("doctorfull");
    let mut machine = machine("namespaces = ['default']\n").inside(&netns);
    // A rule that asks for it turns connection tracking on.
    let rule = "add table inet t; add chain inet t c { type filter hook input priority 0 ; }; add rule inet t c ct state new";
    assert!(netns.command("nft").arg(rule).status().unwrap().success());
    Loopback::of(&netns).connect();
    machine.assert_ok("conntrack_table");
    machine.lay("/proc/sys/net/netfilter/nf_conntrack_max", "1\n");
    machine.broken_and_mended("conntrack_table");
}

#[test]
fn a_noisy_console_is_mended_by_the_advice() {
    let mut machine = machine("");
    machine.lay("/proc/consoles", "ttyS0                -W- (EC  p a)    4:64\n");
    machine.lay("/proc/sys/kernel/printk", "7\t4\t1\t7\n");
    assert!(machine.finding("console")["found"].as_str().unwrap().contains("serial"));
    machine.broken_and_mended("console");
}

/// Where the loggers are modules; here they are built in. A process keeps its number when it becomes another program.
#[test]
fn a_missing_logger_is_mended_by_the_advice() {
    let mut machine = machine("");
    machine.assert_ok("log_backend");
    let folder = machine.folder().join("net");
    fs::create_dir_all(folder.join("netfilter")).unwrap();
    let file = folder.join("netfilter/nf_log");
    fs::write(&file, " 2 NONE (nfnetlink_log)\n10 NONE (nfnetlink_log)\n").unwrap();
    machine.before(&format!("mount --bind {} /proc/$$/net", folder.display()));
    let loaded = " 2 NONE (nf_log_syslog,nfnetlink_log)\n10 NONE (nf_log_syslog,nfnetlink_log)\n";
    let load = format!("[ $1 = nf_log_syslog ] && printf '{loaded}' > {}", file.display());
    machine.stub("modprobe", &load);
    let doctor = "exec anetconctl doctor --json";
    let finding = machine.finding_by(doctor, "log_backend");
    assert_eq!(finding["state"], "wrong", "{finding:#}");
    assert!(machine.shell(finding["fix"].as_str().unwrap()).status.success());
    assert_eq!(machine.finding_by(doctor, "log_backend")["state"], "ok");
}

#[test]
fn missing_programs_are_mended_by_the_advice() {
    let mut machine = machine("");
    machine.shell("anetconctl doctor --print logrotate > /etc/logrotate.d/anetcon");
    machine.assert_ok("logrotate");
    machine.hide(&["logrotate", "rsyslogd"]);
    // Stands for the packages' mirror.
    machine
        .stub("apt-get", "[ $1 = install ] && for p in $2 $2d; do cp /bin/true /usr/sbin/$p; done");
    machine.broken_and_mended("logrotate");
    let advice = machine.advice("rsyslog");
    assert!(advice.contains("or set log.writer = \"agent\" in the configuration"), "{advice}");
    machine.configure("log.writer = 'agent'\n");
    assert_eq!(machine.finding("rsyslog")["state"], "not_used");
    machine.configure("");
    machine.shell(advice.split(',').next().unwrap());
    machine.assert_ok("rsyslog");
}

/// The md5 of both begins with ab383fd3.
#[test]
fn a_hash_of_two_names_is_mended_by_the_advice() {
    let names = ["at-hash-21204", "at-hash-115851"];
    let mut machine = machine("");
    let folder = machine.folder().to_owned();
    for name in names {
        let file = folder.join(name).display().to_string();
        machine.before(&format!("touch {file} && mount --bind /proc/self/ns/net {file}"));
    }
    let configuration =
        format!("namespaces = ['^at-hash-']\nnamespace_directories = ['{}']\n", folder.display());
    machine.configure(&configuration);
    let advice = machine.advice("hashes");
    assert!(advice.contains("log.namespace = \"name\""), "{advice}");
    machine.configure(&format!("{configuration}log.namespace = 'name'\n"));
    assert_eq!(machine.finding("hashes")["state"], "not_used");
}

/// Two hours go by, and a file has grown by more than the disk holds.
#[test]
fn a_disk_that_fills_up_is_mended_by_the_advice() {
    let machine = machine("");
    let folder = machine.folder().to_owned();
    machine
        .configure(&format!("log.directory = '{}'\nrecords.enabled = false\n", folder.display()));
    let file = fs::File::create(folder.join("anetcon.nat.log")).unwrap();
    // Sparse, so that it takes no room.
    file.set_len(1 << 43).unwrap();
    let later = "FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f +2h anetconctl doctor --json";
    let finding = machine.finding_by(later, "disk");
    assert_eq!(finding["state"], "wrong", "{finding:#}");
    assert!(finding["fix"].as_str().unwrap().starts_with("make room"), "{finding:#}");
    file.set_len(1 << 10).unwrap();
    assert_eq!(machine.finding_by(later, "disk")["state"], "ok");
}

/// A kernel calls itself old for a program that asks it to (setarch(8)).
#[test]
fn an_old_kernel_is_told() {
    let machine = machine("");
    machine.assert_ok("kernel");
    let finding = machine.finding_by("setarch --uname-2.6 anetconctl doctor --json", "kernel");
    assert_eq!(finding["state"], "wrong");
    assert_eq!(finding["fix"], "install a kernel of 5.14 or later");
}
