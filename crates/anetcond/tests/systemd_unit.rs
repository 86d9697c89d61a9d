//! The shipped unit: systemd understands every line of it and finds the sandbox tight.
#![allow(clippy::disallowed_methods, reason = "systemd is what this is tested with")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anetcon_testkit::netns::require_root;

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../systemd/anetcon.service");

const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../conf/monitoring");

/// In a mount namespace of its own, where the unit's programs seem to be installed.
const VERIFY: &str = r#"
set -e
stage=$(mktemp -d)
mount -t tmpfs tmpfs "$stage"
mkdir "$stage/upper" "$stage/work"
for name in anetcond anetconctl; do cp /bin/true "$stage/upper/$name"; done
mount -t overlay -o "lowerdir=/usr/sbin,upperdir=$stage/upper,workdir=$stage/work" overlay /usr/sbin
umount --lazy "$stage"
rmdir "$stage"
exec systemd-analyze verify "$1"
"#;

fn verify(unit: &str) -> Output {
    require_root();
    Command::new("unshare")
        .args(["--mount", "--propagation", "private", "bash", "-c", VERIFY, "verify", unit])
        .output()
        .expect("unshare is on every machine")
}

#[test]
fn systemd_understands_every_line() {
    let output = verify(UNIT);
    // A key that systemd does not know is only a warning, with exit code 0.
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success(), "{}", output.status);
}

#[test]
fn a_misspelt_line_would_be_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("anetcon.service");
    let text = fs::read_to_string(UNIT).expect("the unit is there");
    assert!(text.contains("ProtectSystem="));
    fs::write(&copy, text.replace("ProtectSystem=", "ProtectSystm=")).expect("written");
    let output = verify(copy.to_str().expect("a temporary path is text"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("ProtectSystm"), "{said}");
}

/// The drop-ins for metrics, as they are shipped.
const DROP_INS: [&str; 2] = ["metrics-tcp.conf", "metrics-textfile.conf"];

/// What systemd says of the unit with the drop-ins, after a change to their text.
fn verify_with_drop_ins(change: impl Fn(String) -> String) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let (unit, drop_ins) =
        (folder.path().join("anetcon.service"), folder.path().join("anetcon.service.d"));
    fs::copy(UNIT, &unit).expect("copied");
    fs::create_dir(&drop_ins).expect("a folder");
    for name in DROP_INS {
        let text = fs::read_to_string(Path::new(MONITORING).join(name)).expect("it is shipped");
        fs::write(drop_ins.join(name), change(text)).expect("written");
    }
    let output = verify(unit.to_str().expect("a temporary path is text"));
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn systemd_understands_the_drop_ins_for_metrics() {
    assert_eq!(verify_with_drop_ins(|text| text), (true, String::new()));
    for (right, wrong) in
        [("IPAddressAllow=l", "IPAdressAllow=l"), ("ReadWritePaths=", "ReadWritePath=")]
    {
        let (_, said) = verify_with_drop_ins(|text| text.replace(right, wrong));
        assert!(said.contains(wrong.split('=').next().expect("a key")), "{wrong}: {said}");
    }
}

#[test]
fn the_sandbox_is_tight() {
    // 0.2 of it is the price of repairs that come first: real-time scheduling and the call that asks for it. 0.2 more is that of a start
    // that is as fast among a thousand namespaces: ProtectKernelTunables=.
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=20", UNIT])
        .output()
        .expect("systemd-analyze is on every machine with systemd");
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}");
    assert!(table.contains("Overall exposure level for anetcon.service"), "{table}");
}
