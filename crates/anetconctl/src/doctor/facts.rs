//! What is read of the machine. Nothing is judged here.

use std::path::PathBuf;
use std::time::Duration;

use anetcon_core::config::Config;
use anetcon_core::ruleset::Ruleset;

/// A file's text, or why it cannot be read.
pub type Text = Result<String, String>;

/// The machine, as far as an audit depends on it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What is wanted.
    pub config: Config,
    /// `CapEff` of the agent that runs, or of this process where none does (proc(5)).
    pub capabilities: Option<u64>,
    /// The name of the user that the agent runs as, or would: the package's, where it is there, else root.
    pub user: String,
    /// Whether an agent answers at the control socket.
    pub agent: bool,
    /// The kernel's release (uname(2)).
    pub release: String,
    /// `/proc/sys/net/netfilter/nf_log_all_netns`.
    pub nf_log_all_netns: Text,
    /// `/proc/net/netfilter/nf_log`.
    pub log_backends: Text,
    /// `/proc/sys/kernel/printk`.
    pub printk: Text,
    /// `/proc/consoles`.
    pub consoles: Text,
    /// What the kernel's ring holds.
    pub ring: Result<Ring, String>,
    /// Whether the kernel says that somebody keeps the clock synchronised.
    pub clock: Result<bool, String>,
    /// Every namespace.
    pub namespaces: Vec<Namespace>,
    /// Whether rsyslogd is installed.
    pub rsyslogd: bool,
    /// The files of rsyslog's configuration, by path.
    pub rsyslog: Vec<(PathBuf, String)>,
    /// Messages of the kernel that the journal missed since the boot; `None`: there is no journal to be read.
    pub journal_missed: Option<u64>,
    /// Who owns the log folder, and may write there; `None`: there is none.
    pub log_folder: Option<Folder>,
    /// Whether logrotate is installed.
    pub logrotate: bool,
    /// `/etc/logrotate.d/*` that name our files.
    pub rotated: bool,
    /// The disk of the log folder.
    pub disk: Option<Disk>,
}

/// The kernel's ring of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// From the oldest to the newest message in it.
    pub span: Duration,
    /// Whether it has been filled once: the oldest message is not the first of this boot.
    pub full: bool,
    /// Lines of ours in it.
    pub ours: u64,
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// The first 8 hex digits of its name's md5.
    pub hash: String,
    /// Whether the configuration selects it.
    pub selected: bool,
    /// `nf_conntrack_events` in it.
    pub events: Text,
    /// `nf_conntrack_count` in it.
    pub count: Text,
    /// `nf_conntrack_max` in it.
    pub max: Text,
    /// The chains and rules of others in it.
    pub ruleset: Result<Ruleset, String>,
    /// The tables that iptables-legacy has in it (`/proc/net/ip_tables_names`).
    pub legacy: Text,
}

/// The log folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its owner's name.
    pub owner: String,
    /// Its group's name.
    pub group: String,
    /// Permission bits.
    pub mode: u32,
}

/// How much room there is, and how fast it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Free bytes.
    pub free: u64,
    /// Bytes that our files grow by in a day, as far as they tell; 0: they do not.
    pub daily: u64,
}
