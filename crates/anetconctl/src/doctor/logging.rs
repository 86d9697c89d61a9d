//! What takes the lines from the kernel into their files, and keeps those.

use std::path::Path;

use anetcon_core::config::Writer;

use super::facts::Facts;
use super::finding::Finding;
use super::shipped::contains;

/// Days of room below which somebody should look.
const DAYS: u64 = 7;

/// What reads the kernel log in rsyslog.
const INPUTS: [&str; 3] = ["imklog", "imkmsg", "imjournal"];

const MISSING_FILE: &str =
    "anetconctl doctor --print rsyslog > /etc/rsyslog.d/30-anetcon.conf; systemctl restart rsyslog";

pub fn rsyslog(facts: &Facts) -> Finding {
    const CHECK: &str = "rsyslog";
    match (facts.config.log.writer, facts.rsyslogd) {
        (Writer::Agent, _) => Finding::not_used(CHECK, "log.writer = \"agent\""),
        (Writer::Rsyslog, true) => Finding::ok(CHECK, "installed"),
        (Writer::Rsyslog, false) => Finding::wrong(
            CHECK,
            "rsyslog writes the log files (log.writer) and is not installed",
            "apt-get install rsyslog, or set log.writer = \"agent\" in the configuration",
        ),
    }
}

pub fn rsyslog_input(facts: &Facts) -> Finding {
    const CHECK: &str = "rsyslog_input";
    if facts.config.log.writer == Writer::Agent {
        return Finding::not_used(CHECK, "log.writer = \"agent\"");
    }
    let loaded = |input: &&str| active(facts).any(|line| loads(line, input));
    let inputs: Vec<&str> = INPUTS.into_iter().filter(loaded).collect();
    match inputs.as_slice() {
        [] => Finding::wrong(
            CHECK,
            "rsyslog reads no kernel log",
            "echo 'module(load=\"imklog\")' > /etc/rsyslog.d/10-imklog.conf; systemctl restart rsyslog",
        ),
        ["imjournal"] if !active(facts).any(|line| line.contains("ratelimit.interval=\"0\"")) => {
            Finding::wrong(
                CHECK,
                "rsyslog reads the kernel log from the journal, which limits its rate (20,000 messages in 10 minutes)",
                "echo 'module(load=\"imklog\")' > /etc/rsyslog.d/10-imklog.conf; systemctl restart rsyslog",
            )
        }
        inputs => Finding::ok(
            CHECK,
            format!("rsyslog reads the kernel log with {}", inputs.join(" and ")),
        ),
    }
}

pub fn rsyslog_file(facts: &Facts) -> Finding {
    const CHECK: &str = "rsyslog_file";
    if facts.config.log.writer == Writer::Agent {
        return Finding::not_used(CHECK, "log.writer = \"agent\"");
    }
    let prefixes = &facts.config.log.prefixes;
    let wanted =
        [&prefixes.dnat, &prefixes.other].map(|kind| contains(&format!("{}{kind}", prefixes.base)));
    let ours = facts.rsyslog.iter().filter(|(_, text)| text.contains("anetcon_line"));
    let ours: Vec<&(std::path::PathBuf, String)> = ours.collect();
    if ours.is_empty() {
        return Finding::wrong(CHECK, "no file in /etc/rsyslog.d sorts our lines", MISSING_FILE);
    }
    let folder = facts.config.log.directory.display().to_string();
    let fits =
        |text: &str| wanted.iter().all(|wanted| text.contains(wanted)) && text.contains(&folder);
    match ours.iter().find(|(_, text)| fits(text)) {
        Some((path, _)) => {
            Finding::ok(CHECK, format!("{} has the configured prefixes and folder", path.display()))
        }
        None => Finding::wrong(
            CHECK,
            "the prefixes or the folder in /etc/rsyslog.d are not the configured ones",
            MISSING_FILE,
        ),
    }
}

pub fn journald(facts: &Facts) -> Finding {
    const CHECK: &str = "journald";
    match facts.journal_missed {
        None => Finding::cannot_tell(CHECK, "there is no journal that can be read"),
        Some(0) => {
            Finding::ok(CHECK, "no kernel message was missed, as far as the journal's files say")
        }
        Some(count) => Finding::wrong(
            CHECK,
            format!(
                "the journal says {count} times that it missed kernel messages: they came too fast"
            ),
            "add log_buf_len=16M to the kernel's command line and restart the machine",
        ),
    }
}

/// Whoever writes must be able to: the agent's user in any case, rsyslog's where it gave up root. Root always is: rsyslog keeps
/// CAP_DAC_OVERRIDE. An access list (acl(5)) shows in the permissions of the group, whose place its mask takes.
pub fn folder(facts: &Facts) -> Finding {
    const CHECK: &str = "log_folder";
    let path = facts.config.log.directory.display();
    let agent = facts.user.as_str();
    let others = match facts.config.log.writer {
        Writer::Agent => agent.to_owned(),
        Writer::Rsyslog => rsyslog_user(facts),
    };
    let writers = [agent, &others].map(|user| (user != "root").then_some(user));
    let fix = fix(&path.to_string(), agent, &others);
    let Some(folder) = &facts.log_folder else {
        return match writers.into_iter().flatten().next() {
            None => {
                Finding::ok(CHECK, format!("{path} is not there: it is made with the first line"))
            }
            Some(user) => Finding::wrong(
                CHECK,
                format!("{path} is not there, and {user} cannot make it"),
                fix,
            ),
        };
    };
    let found = format!("{path} is {}:{} {:o}", folder.owner, folder.group, folder.mode & 0o7777);
    let may = |user: &str| {
        let owner = folder.owner == user && folder.mode & 0o200 != 0;
        owner || folder.mode & 0o022 != 0
    };
    match writers.into_iter().flatten().find(|user| !may(user)) {
        None => Finding::ok(CHECK, found),
        Some(user) => Finding::wrong(CHECK, format!("{found}, and {user} writes there"), fix),
    }
}

/// The folder belongs to the agent; whoever else writes is let in by name, not the whole group that reads.
fn fix(path: &str, agent: &str, other: &str) -> String {
    let made = format!("install -d -o {agent} -g adm -m 750 {path}");
    match other == "root" || other == agent {
        true => made,
        false => format!("{made} && setfacl -m u:{other}:rwx {path}"),
    }
}

pub fn logrotate(facts: &Facts) -> Finding {
    const CHECK: &str = "logrotate";
    match (facts.logrotate, facts.rotated) {
        (true, true) => Finding::ok(CHECK, "installed, and it rotates our files"),
        (false, _) => {
            Finding::wrong(CHECK, "logrotate is not installed", "apt-get install logrotate")
        }
        (true, false) => Finding::wrong(
            CHECK,
            "no file in /etc/logrotate.d rotates our files",
            "anetconctl doctor --print logrotate > /etc/logrotate.d/anetcon",
        ),
    }
}

pub fn disk(facts: &Facts) -> Finding {
    const CHECK: &str = "disk";
    let Some(disk) = facts.disk else {
        return Finding::cannot_tell(CHECK, "the disk of the log folder cannot be asked");
    };
    let free = disk.free >> 20;
    let Some(days) = disk.free.checked_div(disk.daily) else {
        return Finding::ok(
            CHECK,
            format!("{free} MiB free; how fast they are used is not known yet"),
        );
    };
    let found =
        format!("{free} MiB free, enough for {days} days at {} MiB a day", disk.daily >> 20);
    match days < DAYS {
        false => Finding::ok(CHECK, found),
        true => {
            Finding::wrong(CHECK, found, "make room, or lower `rotate` in /etc/logrotate.d/anetcon")
        }
    }
}

/// Lines of rsyslog's configuration that are not commented out.
fn active(facts: &Facts) -> impl Iterator<Item = &str> {
    let lines = facts.rsyslog.iter().flat_map(|(_, text)| text.lines());
    lines.map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty())
}

fn loads(line: &str, input: &str) -> bool {
    line.contains(&format!("load=\"{input}\"")) || line == format!("$ModLoad {input}")
}

fn rsyslog_user(facts: &Facts) -> String {
    let named = |line: &str| {
        let rest = line.strip_prefix("$PrivDropToUser")?;
        Some(rest.trim().to_owned())
    };
    active(facts).find_map(named).unwrap_or_else(|| "root".to_owned())
}

/// Whether a text of logrotate's configuration names this file.
pub(super) fn names(text: &str, file: &Path) -> bool {
    let file = file.display().to_string();
    text.split(|letter: char| letter.is_whitespace() || letter == '{' || letter == '"')
        .any(|word| word == file)
}
