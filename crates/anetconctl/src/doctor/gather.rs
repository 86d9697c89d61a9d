//! Reads the machine. Nothing is changed, and nothing that cannot be read is made up.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anetcon_core::config::Config;
use anetcon_core::netns::NetnsName;
use anetcon_core::prefix::NetnsHash;
use anetcon_host::{Host, clock_is_synchronised};
use anetcon_records::device::Device;
use anetcon_records::reader::{Next, Reader};
use anetcon_records::search::Sources;
use nix::sys::statvfs::statvfs;
use nix::unistd::{Gid, Group, Uid, User};

use super::facts::{Disk, Facts, Folder, Namespace, Ring, Text};
use super::logging::names;

/// Below which folder the settings of connection tracking are.
const NETFILTER: &str = "/proc/sys/net/netfilter";

/// How much of each of the journal's files is searched.
const JOURNAL: u64 = 256 << 20;

/// `User=` of anetcon.service.
const UNIT_USER: &str = "anetcon";

/// A file that is younger does not tell how fast it grows.
const YOUNG: Duration = Duration::from_secs(3600);

/// Reads everything. `agent` is the process id of the agent that runs, `existing` all namespaces.
pub fn gather(config: Config, host: &Host, existing: &[NetnsName], agent: Option<u32>) -> Facts {
    let process = agent.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let status = text(Path::new(&format!("/proc/{process}/status")));
    let sources = Sources::configured(&config);
    Facts {
        user: user(agent.is_some().then_some(status.as_deref().ok()).flatten()),
        capabilities: status.ok().as_deref().and_then(effective),
        agent: agent.is_some(),
        release: release(),
        nf_log_all_netns: text(Path::new(&format!("{NETFILTER}/nf_log_all_netns"))),
        log_backends: text(Path::new("/proc/net/netfilter/nf_log")),
        printk: text(Path::new("/proc/sys/kernel/printk")),
        consoles: text(Path::new("/proc/consoles")),
        ring: ring(&config.log.prefixes.base).map_err(|error| format!("/dev/kmsg: {error}")),
        clock: clock_is_synchronised().map_err(|error| format!("adjtimex(2): {error}")),
        namespaces: existing.iter().map(|name| namespace(&config, host, name)).collect(),
        rsyslogd: installed("rsyslogd"),
        rsyslog: rsyslog(),
        journal_missed: journal(),
        log_folder: folder(&config.log.directory),
        logrotate: installed("logrotate"),
        rotated: rotated(&config, &sources),
        disk: disk(&config, &sources),
        config,
    }
}

fn text(path: &Path) -> Text {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn effective(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

/// The user of a process from its `/proc/PID/status`, or the one that the package makes for the unit.
fn user(status: Option<&str>) -> String {
    let ids = status.and_then(|text| text.lines().find_map(|line| line.strip_prefix("Uid:")));
    let id = ids.and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok());
    let user = match id {
        Some(id) => User::from_uid(Uid::from_raw(id)),
        None => User::from_name(UNIT_USER),
    };
    user.ok().flatten().map_or_else(|| "root".to_owned(), |user| user.name)
}

fn release() -> String {
    let known = nix::sys::utsname::uname().ok();
    known.map(|known| known.release().to_string_lossy().into_owned()).unwrap_or_default()
}

fn ring(prefix: &str) -> std::io::Result<Ring> {
    let mut reader = Reader::open(&Device::default(), None)?;
    let (mut first, mut last, mut ours) = (None, Duration::ZERO, 0);
    loop {
        match reader.read_record()? {
            Next::Record { record, .. } => {
                first.get_or_insert((record.sequence, record.monotonic));
                last = record.monotonic;
                ours += u64::from(record.message.starts_with(prefix));
            }
            Next::Passed => {}
            Next::Empty => break,
        }
    }
    let (sequence, oldest) = first.unwrap_or((0, last));
    Ok(Ring { span: last.saturating_sub(oldest), full: sequence > 0, ours })
}

fn namespace(config: &Config, host: &Host, name: &NetnsName) -> Namespace {
    let selected = config.selection.matches(name);
    let unread =
        |error: String| [Err(error.clone()), Err(error.clone()), Err(error.clone()), Err(error)];
    let [events, count, max, legacy] = if selected {
        let files = ["nf_conntrack_events", "nf_conntrack_count", "nf_conntrack_max"];
        let [events, count, max] = files.map(|file| PathBuf::from(format!("{NETFILTER}/{file}")));
        let legacy = PathBuf::from("/proc/thread-self/net/ip_tables_names");
        host.read_within(name, [events, count, max, legacy])
            .unwrap_or_else(|error| unread(format!("{:#}", anyhow::Error::new(error))))
    } else {
        unread("not selected".to_owned())
    };
    let hash = NetnsHash::of(name).to_string();
    let ruleset = match selected {
        true => host.ruleset(name).map_err(|error| format!("{:#}", anyhow::Error::new(error))),
        false => Err("not selected".to_owned()),
    };
    let name = name.to_string();
    Namespace { name, hash, selected, events, count, max, ruleset, legacy }
}

fn installed(program: &str) -> bool {
    ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists())
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn rsyslog() -> Vec<(PathBuf, String)> {
    let included = files("/etc/rsyslog.d").into_iter();
    let included = included.filter(|path| path.extension().is_some_and(|end| end == "conf"));
    let all = std::iter::once(PathBuf::from("/etc/rsyslog.conf")).chain(included);
    all.filter_map(|path| fs::read_to_string(&path).ok().map(|text| (path, text))).collect()
}

/// Of this boot: files go on over restarts of the machine.
fn journal() -> Option<u64> {
    let boot = boot()?;
    let machines = files("/run/log/journal").into_iter().chain(files("/var/log/journal"));
    let journals = machines.flat_map(|machine| files(&machine.display().to_string()));
    let journals = journals.filter(|path| path.extension().is_some_and(|end| end == "journal"));
    let searched: Vec<u64> = journals
        .filter_map(|path| Some(super::journal::missed(&beginning(&path).ok()?, boot)))
        .collect();
    (!searched.is_empty()).then(|| searched.iter().sum())
}

/// The boot's id, 32 hex digits with dashes (random(4)).
fn boot() -> Option<[u8; 16]> {
    let text = text(Path::new("/proc/sys/kernel/random/boot_id")).ok()?;
    let digits: Vec<u8> =
        text.chars().filter_map(|digit| digit.to_digit(16)?.try_into().ok()).collect();
    let bytes =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit));
    bytes.collect::<Vec<u8>>().try_into().ok()
}

fn beginning(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(JOURNAL).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn folder(path: &Path) -> Option<Folder> {
    let metadata = fs::metadata(path).ok()?;
    let (uid, gid) = (metadata.uid(), metadata.gid());
    let owner = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    Some(Folder {
        owner: owner.map_or_else(|| uid.to_string(), |user| user.name),
        group: group.map_or_else(|| gid.to_string(), |group| group.name),
        mode: metadata.mode(),
    })
}

fn rotated(config: &Config, sources: &Sources) -> bool {
    let texts: Vec<String> =
        files("/etc/logrotate.d").iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    let is_rotated = |file: &Path| texts.iter().any(|text| names(text, file));
    let sessions = !config.records.enabled || is_rotated(&sources.sessions);
    sessions && is_rotated(&sources.kernel_float) && is_rotated(&sources.kernel_nat)
}

fn disk(config: &Config, sources: &Sources) -> Option<Disk> {
    let existing = config.log.directory.ancestors().find(|path| path.exists())?;
    let room = statvfs(existing).ok()?;
    let free = room.blocks_available().saturating_mul(room.fragment_size());
    let daily = sources.files().iter().filter_map(|(live, _)| growth(live)).sum();
    Some(Disk { free, daily })
}

/// Bytes a day, from the live file since it was made.
fn growth(live: &Path) -> Option<u64> {
    let metadata = fs::metadata(live).ok()?;
    let age = SystemTime::now().duration_since(metadata.created().ok()?).ok()?;
    (age >= YOUNG).then(|| metadata.len().saturating_mul(86_400) / age.as_secs().max(1))
}
