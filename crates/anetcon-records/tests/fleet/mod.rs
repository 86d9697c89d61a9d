//! A node and the central machine of a fleet: two real rsyslogd with the files of conf/fleet, in two namespaces with a wire.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends here")]
#![allow(clippy::disallowed_methods, reason = "tests start the programs they compare with")]

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anetcon_testkit::netns::{Netns, wait_until};
use anetcon_testkit::topology::{Family, OUTER_INTERFACE, Router};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Ends a broken test; a healthy one never waits that long.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Both machines and what lies between them.
pub struct Fleet {
    router: Router,
    folder: tempfile::TempDir,
    node: Option<Child>,
    central: Option<Child>,
}

impl Fleet {
    /// Two machines that are connected; nothing runs yet. The node's certificate is for `name`, the central machine
    /// takes `*.nodes.example`.
    pub fn new(name: &str) -> Self {
        let (router, folder) = (Router::new("fleet"), tempfile::tempdir().unwrap());
        let fleet = Self { router, folder, node: None, central: None };
        for part in ["node", "central", "log", "spool", "certificates"] {
            fs::create_dir(fleet.path(part)).unwrap();
        }
        fleet.certify("central", "central.example");
        fleet.certify("node", name);
        let script = fleet.path("anetcon-in-flight");
        fs::write(&script, fleet.moved("anetcon-in-flight", &[(SPOOL, 1)])).unwrap();
        fs::set_permissions(script, Permissions::from_mode(0o755)).unwrap();
        fleet.configure("node", &[(SPOOL, 2), (LOG, 6), (KEYS, 3), (SCRIPT, 1), (TARGET, 1)]);
        fleet.configure("central", &[(CENTRAL_LOG, 3), (KEYS, 3)]);
        fleet
    }

    /// Something below the test's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What rsyslogd says of the configuration of `part`.
    pub fn checked(&self, part: &str) -> String {
        let mut rsyslogd = Command::new("rsyslogd");
        let output = rsyslogd.arg("-N1").arg("-f").arg(self.configuration(part)).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    }

    pub fn start_central(&mut self) {
        self.central = Some(self.rsyslogd("central", &self.router.outside));
    }

    /// As systemd does with the drop-in that ships.
    pub fn start_node(&mut self) {
        let drop_in = shipped("rsyslog-in-flight.conf");
        let line = drop_in.lines().find_map(|line| line.strip_prefix("ExecStartPre=")).unwrap();
        let (program, argument) = line.split_once(' ').unwrap();
        assert_eq!(program, SCRIPT);
        let before = Command::new(self.path("anetcon-in-flight")).arg(argument).status().unwrap();
        assert!(before.success());
        self.node = Some(self.rsyslogd("node", &self.router.netns));
    }

    pub fn end_node(&mut self, signal: Signal) {
        end(&mut self.node, signal);
    }

    pub fn end_central(&mut self, signal: Signal) {
        end(&mut self.central, signal);
    }

    /// Drops all that reaches the central machine, or no longer: neither side is told.
    pub fn drop_packets(&self, cut: bool) {
        let rules = match cut {
            true => {
                "table inet cut {\n chain c {\n type filter hook input priority 0; policy drop;\n }\n}\n"
            }
            false => "delete table inet cut\n",
        };
        let mut nft = self.router.outside.command("nft");
        let mut nft = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success());
    }

    /// Pulls the wire out, or plugs it in.
    pub fn set_link(&self, state: &str) {
        let mut ip = self.router.netns.command("ip");
        assert!(ip.args(["link", "set", OUTER_INTERFACE, state]).status().unwrap().success());
    }

    /// What a running rsyslogd had to say.
    pub fn said(&self, part: &str) -> String {
        fs::read_to_string(self.path(part).join("stderr")).unwrap()
    }

    fn configuration(&self, part: &str) -> PathBuf {
        self.path(part).join("rsyslog.conf")
    }

    fn rsyslogd(&self, part: &str, netns: &Netns) -> Child {
        let stderr = self.path(part).join("stderr");
        let stderr = File::options().create(true).append(true).open(stderr).unwrap();
        let mut command = netns.command("rsyslogd");
        command.args(["-n", "-iNONE", "-f"]).arg(self.configuration(part));
        command.stderr(stderr).spawn().unwrap()
    }

    fn configure(&self, part: &str, places: &[(&str, usize)]) {
        let head = format!("global(workDirectory=\"{}\")\n", self.path(part).display());
        let body = self.moved(&format!("rsyslog-{part}.conf"), places);
        fs::write(self.configuration(part), head + &body).unwrap();
    }

    /// A shipped file with the places that are named, and so often, moved to the test's folder.
    fn moved(&self, name: &str, places: &[(&str, usize)]) -> String {
        let below = |name: &str| self.path(name).display().to_string();
        let central = Family::V4.addresses().remote;
        let mut text = shipped(name);
        for &(from, count) in places {
            let to = match from {
                SPOOL => below("spool"),
                LOG => below("log/"),
                CENTRAL_LOG => below("central/log"),
                KEYS => below("certificates"),
                SCRIPT => below("anetcon-in-flight"),
                _ => format!("target=\"{central}\""),
            };
            let code = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            assert_eq!(code.filter(|line| line.contains(from)).count(), count, "{name}: {from}");
            text = text.replace(from, &to);
        }
        text
    }

    /// The commands of docs/fleet.md.
    fn certify(&self, part: &str, name: &str) {
        let guide = include_str!("../../../../docs/fleet.md");
        let marked = |mark: &str| {
            let (_, rest) = guide.split_once(&format!("```sh\n# {mark}")).unwrap();
            rest.split_once("\n```").unwrap().0.split_once('\n').unwrap().1.to_owned()
        };
        let folder = self.path("certificates");
        let run = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-euc", script]).current_dir(&folder).stderr(Stdio::null());
            assert!(shell.status().unwrap().success(), "{script}");
        };
        if !folder.join("ca.pem").exists() {
            run(&marked("authority"));
        }
        let script = marked("machine").replace("FILE=node", &format!("FILE={part}"));
        run(&script.replace("NAME=net1.nodes.example", &format!("NAME={name}")));
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in [&mut self.node, &mut self.central].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

const SPOOL: &str = "/var/spool/rsyslog";
const LOG: &str = "/var/log/anetcon/";
const CENTRAL_LOG: &str = "/var/log/anetcon-fleet";
const KEYS: &str = "/etc/anetcon/fleet";
const SCRIPT: &str = "/usr/local/sbin/anetcon-in-flight";
const TARGET: &str = "target=\"central.example\"";

fn shipped(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/fleet");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn end(child: &mut Option<Child>, signal: Signal) {
    let mut child = child.take().unwrap();
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    wait_until("rsyslogd ends", DEADLINE, || child.try_wait().unwrap().is_some());
}
