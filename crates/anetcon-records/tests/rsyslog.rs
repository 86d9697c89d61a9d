//! A real rsyslogd with the shipped rsyslog/30-anetcon.conf and real kernel log lines.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]
#![allow(clippy::disallowed_methods, reason = "tests start the programs they compare with")]

mod support;

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use anetcon_core::prefix::Kind;
use anetcon_testkit::netns::wait_until;
use jiff::Timestamp;
use nix::unistd::{Group, User};
use support::rsyslogd::{Rsyslogd, UDP};
use support::*;

const IMKMSG: &str = "module(load=\"imkmsg\")";
/// What Debian loads, with the switch that Ubuntu adds: records of processes come in, too.
const IMKLOG: &str = "module(load=\"imklog\" permitNonKernelFacility=\"on\")";

#[test]
fn rsyslogd_accepts_the_shipped_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rsyslog/30-anetcon.conf");
    let output = Command::new("rsyslogd").arg("-N1").arg("-f").arg(path).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && !said.contains("error") && !said.contains("warning"),
        "{said}"
    );
}

#[test]
fn lines_read_by_imkmsg_are_sorted() {
    lines_are_sorted("rec-imkmsg", IMKMSG);
}

/// The only test that reads /proc/kmsg: two readers would take records from each other.
#[test]
fn lines_read_by_imklog_are_sorted() {
    lines_are_sorted("rec-imklog", IMKLOG);
}

fn lines_are_sorted(label: &str, input: &str) {
    let (talker, folder) = (Talker::new(label), tempfile::tempdir().unwrap());
    let rsyslogd = Rsyslogd::start(&talker, folder.path(), input, "");
    talker.connect(1..5);
    talker.connect(30_000..30_003);
    let forgeries = forge_everywhere(&talker, &rsyslogd, folder.path());
    wait_until("rsyslogd logged every forgery as what it is", DEADLINE, || {
        let everything = rsyslogd.everything();
        forgeries.iter().all(|forgery| everything.contains(forgery))
    });
    // Whatever was logged before is in its file now that a later line is.
    talker.connect(5..6);
    talker.connect(30_003..30_004);
    wait_for_lines(&rsyslogd.log(), "anetcon.float.log", 5);
    wait_for_lines(&rsyslogd.log(), "anetcon.nat.log", 4);

    let config = talker.config(folder.path());
    assert_once(&[config.path(Kind::Float)], 1..6);
    assert_once(&[config.path(Kind::Nat)], 30_000..30_004);
    for line in Kind::ALL.iter().flat_map(|kind| lines(&config.path(*kind))) {
        assert_shape(&line, &talker.prefixes.base);
    }
    let adm = Group::from_name("adm").unwrap().unwrap().gid.as_raw();
    for (path, wanted) in [
        (config.path(Kind::Float), 0o640),
        (config.path(Kind::Nat), 0o640),
        (rsyslogd.log(), 0o750),
    ] {
        assert_eq!((mode(&path), fs::metadata(&path).unwrap().gid()), (wanted, adm), "{path:?}");
    }
    let everything = rsyslogd.everything();
    let ours = "[0123abcd] IN= OUT=lo SRC=127.0.0.1 ";
    let leaked =
        everything.lines().find(|line| line.contains(&talker.prefixes.base) && line.contains(ours));
    assert_eq!(leaked, None, "a line of ours stands in kern.log or syslog");
}

/// Tries every way in which somebody but the kernel could write a line; returns what must stand in syslog then.
fn forge_everywhere(talker: &Talker, rsyslogd: &Rsyslogd, folder: &Path) -> Vec<String> {
    let mut ports = 40_000..;
    let mut forge = || talker.forged(ports.next().unwrap());
    let mut forgeries = Vec::new();

    let socket = UnixDatagram::unbound().unwrap();
    let udp = talker.netns.run(|| UdpSocket::bind("127.0.0.1:0").unwrap());
    for head in ["<4>kernel: ", "<4>Nov 23 16:00:00 kernel: [    1.000000] ", "<0>"] {
        let text = forge();
        socket.send_to(format!("{head}{text}").as_bytes(), rsyslogd.socket()).unwrap();
        forgeries.push(text);
    }
    for head in ["<4>Nov 23 16:00:00 host kernel: ", "<4>1 2026-11-23T16:00:00Z host kernel - - - "]
    {
        let text = forge();
        udp.send_to(format!("{head}{text}").as_bytes(), UDP).unwrap();
        forgeries.push(text);
    }
    for head in ["<4>", "<0>", "<12><4>", "<12> <4>", ""] {
        let text = forge();
        write_to_kmsg(&format!("{head}{text}"));
        forgeries.push(text);
    }
    for tag in ["kernel", "kernel:"] {
        let text = forge();
        let mut logger = Command::new("logger");
        logger.arg("-u").arg(rsyslogd.socket()).args(["-p", "kern.warn", "-t", tag, &text]);
        assert!(logger.status().unwrap().success());
        forgeries.push(text);
    }
    forgeries.push(crash_named(folder, &talker.prefixes.stem(Kind::Float)));
    forgeries.iter().map(|text| text.trim_end().to_owned()).collect()
}

/// The shape is that of the agent's own lines, but for the uptime.
fn assert_shape(line: &str, base: &str) {
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.ends_with("+00:00") && time.len() == 32, "{line}");
    time.parse::<Timestamp>().unwrap();
    let (host, rest) = rest.split_once(" kernel: ").unwrap();
    assert_eq!(host, anetcon_records::system::hostname(), "{line}");
    let written = anetcon_records::line::parse(line).unwrap();
    assert!(written.message.starts_with(base), "{line}");
    assert!(rest.ends_with(written.message), "{line}");
}

#[test]
fn an_rsyslogd_that_gave_up_root_loses_no_line() {
    let (talker, folder) = (Talker::new("rec-drop"), tempfile::tempdir().unwrap());
    let config = talker.config(folder.path());
    let daemon = User::from_name("daemon").unwrap().unwrap();
    fs::create_dir(&config.directory).unwrap();
    for path in [folder.path(), &config.directory] {
        chown(path, Some(daemon.uid.as_raw()), None).unwrap();
    }
    let head = "$PrivDropToUser daemon\n$PrivDropToGroup daemon\n";
    let rsyslogd = Rsyslogd::start(&talker, folder.path(), IMKMSG, head);
    talker.connect(1..4);
    wait_for_lines(&rsyslogd.log(), "anetcon.", 3);
    assert_once(&[config.path(Kind::Float)], 1..4);
    let metadata = fs::metadata(config.path(Kind::Float)).unwrap();
    assert_eq!((metadata.uid(), mode(&config.path(Kind::Float))), (daemon.uid.as_raw(), 0o640));
}
