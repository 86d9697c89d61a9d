//! A real rsyslogd with the shipped configuration, its folder and prefix replaced by the test's own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Child;

use anetcon_testkit::netns::{unique, wait_until};

use super::{DEADLINE, Talker, shipped, write_to_kmsg};

/// Where its network input listens, inside the talker's namespace.
pub const UDP: (&str, u16) = ("127.0.0.1", 5514);

/// A running rsyslogd; it ends with this value.
pub struct Rsyslogd {
    child: Child,
    folder: PathBuf,
}

impl Rsyslogd {
    /// Starts one in the talker's namespace. `input` loads the module that reads the kernel log; `head` goes before all.
    pub fn start(talker: &Talker, folder: &Path, input: &str, head: &str) -> Self {
        let at = |name: &str| folder.join(name).display().to_string();
        let ours = rewritten(talker, folder);
        let config = format!(
            "{head}\n{input}\n\
             module(load=\"imuxsock\" sysSock.use=\"off\")\n\
             module(load=\"imudp\")\n\
             global(workDirectory=\"{}\")\n\
             input(type=\"imuxsock\" socket=\"{}\")\n\
             input(type=\"imudp\" address=\"{}\" port=\"{}\")\n\
             {ours}\n\
             action(type=\"omfile\" file=\"{}\")\n",
            folder.display(),
            at("socket"),
            UDP.0,
            UDP.1,
            at("everything.log"),
        );
        fs::write(folder.join("rsyslog.conf"), config).unwrap();
        wait_until("rsyslogd reads the kernel log", DEADLINE, || {
            let mut command = talker.netns.command("rsyslogd");
            command.args(["-n", "-iNONE", "-f", &at("rsyslog.conf")]);
            let child =
                command.stderr(File::create(folder.join("stderr")).unwrap()).spawn().unwrap();
            let started = Self { child, folder: folder.to_owned() };
            started.reads_the_kernel_log().then_some(started)
        })
    }

    /// imkmsg gives up when the record that it meets first is overwritten at that moment, which others' lines may do.
    fn reads_the_kernel_log(&self) -> bool {
        let mark = unique("mark");
        write_to_kmsg(&mark);
        wait_until("rsyslogd takes its first record or fails", DEADLINE, || {
            let said = fs::read_to_string(self.folder.join("stderr")).unwrap();
            if said.contains("cannot open kernel log") {
                return Some(false);
            }
            assert!(said.is_empty(), "{said}");
            (self.everything().contains(&mark) && self.socket().exists()).then_some(true)
        })
    }

    /// Its process id; nsenter replaces itself, so it is the child's.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What stands for /dev/log.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// What stands for /var/log/anetcon.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// What stands for kern.log and syslog.
    pub fn everything(&self) -> String {
        let text = fs::read(self.folder.join("everything.log")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Rsyslogd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The shipped file with another prefix and folder, changed in the places that its comment names.
fn rewritten(talker: &Talker, folder: &Path) -> String {
    let name = talker.prefixes.base.trim_matches(['[', ']']);
    let mut text = shipped("rsyslog/30-anetcon.conf");
    let places = [
        ("\"[ANETCON][".to_owned(), format!("\"[{name}]["), 2),
        (r"\\[ANETCON\\]".to_owned(), format!(r"\\[{name}\\]"), 2),
        ("/var/log/anetcon/".to_owned(), format!("{}/", folder.join("log").display()), 2),
    ];
    for (from, to, count) in places {
        assert_eq!(text.matches(&from).count(), count, "{from}");
        text = text.replace(&from, &to);
    }
    text
}
