//! The one document that answers "am I covered?".

use serde::{Deserialize, Serialize};

use crate::{LedgerStatus, ManifestStatus, MetricsStatus, NamespaceState, RecordsStatus, Schema};

/// The state of the agent and of everything it audits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `1`.
    pub schema: Schema,
    /// The agent's version.
    pub version: String,
    /// The agent's process id.
    pub pid: u32,
    /// When the agent started.
    pub started: String,
    /// Whether all is well, as the agent sees it.
    pub verdict: Verdict,
    /// Where the configuration comes from.
    pub configuration: ConfigurationStatus,
    /// How many namespaces stand how.
    pub namespaces: NamespaceCounts,
    /// The namespaces that are not audited.
    pub failed: Vec<FailedNamespace>,
    /// What was put back.
    pub repairs: Repairs,
    /// New connections of all audited namespaces.
    pub connections: Connections,
    /// Whether the kernel logs lines of other namespaces than the root one.
    pub nf_log_all_netns: NfLogAllNetns,
    /// Who writes the log files, and how that goes.
    pub log: LogStatus,
    /// How the session records go.
    #[serde(default)]
    pub records: RecordsStatus,
    /// Counted connections that were never told of.
    #[serde(default)]
    pub unaccounted: Unaccounted,
    /// How the gap ledger goes.
    #[serde(default)]
    pub ledger: LedgerStatus,
    /// How the manifest of rotated files goes.
    #[serde(default)]
    pub manifest: ManifestStatus,
    /// Where metrics are besides on the control socket.
    #[serde(default)]
    pub metrics: MetricsStatus,
    /// What keeps others from wiping our tables, in named namespaces.
    pub protection: Protection,
    /// The fallback sweep, in seconds.
    pub period_seconds: u64,
    /// The path of the control socket.
    pub socket: String,
}

/// Connections that the kernel counted and that were never told of, in all namespaces since the agent started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unaccounted {
    /// Without a line in the kernel log.
    pub lines: u64,
    /// Without a record.
    pub records: u64,
}

/// The agent's own judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Every selected namespace is audited and every line can reach its log.
    pub ok: bool,
    /// One sentence for each thing that is wrong, the worst first. Empty if `ok`.
    pub problems: Vec<String>,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationStatus {
    /// Its file; `None`: defaults.
    pub file: Option<String>,
    /// The drop-ins that were put over it, the weakest first.
    #[serde(default)]
    pub drop_ins: Vec<String>,
    /// When it was loaded.
    pub loaded: String,
    /// Why the last reload failed, if it did. The configuration before it is still in force.
    pub last_error: Option<String>,
}

/// Numbers of namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NamespaceCounts {
    /// Chosen by the configuration and present.
    pub selected: u64,
    /// Of these, with our rules in force.
    pub audited: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Of these, where somebody keeps changing our rules.
    pub fighting: u64,
}

/// A namespace that is not audited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedNamespace {
    /// Its name.
    pub name: String,
    /// How it stands: failed, repairing or waiting.
    pub state: NamespaceState,
    /// Why.
    pub error: Option<String>,
    /// Since when.
    pub since: String,
}

/// What was put back since the agent started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Repairs {
    /// How often, without first installations.
    pub total: u64,
    /// The last ones, newest first, at most 10.
    pub last: Vec<Repair>,
}

/// One repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// When the rules were in force again.
    pub time: String,
    /// Where.
    pub namespace: String,
    /// What was wrong, short phrases.
    pub reasons: Vec<String>,
    /// From the notice to verified rules, in microseconds.
    pub took_us: u64,
    /// Who did it, as far as the kernel told.
    pub authors: Vec<Author>,
    /// Whether rules were put there anew or put back.
    pub kind: RepairKind,
}

/// Whether rules were there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepairKind {
    /// They are there for the first time.
    Installed,
    /// They had been there and were wiped or changed.
    Repaired,
}

/// Who committed a ruleset transaction, as the kernel's generation event names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The thread's name, up to 15 characters.
    pub name: String,
    /// The thread id (not the process id).
    pub tid: u32,
}

/// New connections counted by our rules in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Connections {
    /// To a floating IP.
    pub float: u64,
    /// All others.
    pub nat: u64,
}

/// net.netfilter.nf_log_all_netns: at 0 the kernel logs nothing outside the root namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NfLogAllNetns {
    /// Its value; `None` if it cannot be read.
    pub value: Option<u8>,
    /// Whether it is as we need it.
    pub ok: bool,
    /// Whether we set it (and shall set it back at exit).
    pub set_by_us: bool,
    /// How often somebody reset it while we ran.
    pub resets: u64,
    /// Why it could not be read or set.
    pub error: Option<String>,
}

/// The log files. The counts are `None` where rsyslog writes: we do not see its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// Who writes them.
    pub writer: LogWriter,
    /// Where they are.
    pub directory: String,
    /// Lines written for floating IPs.
    pub float_lines: Option<u64>,
    /// Lines written for other connections.
    pub nat_lines: Option<u64>,
    /// Lines of any kind that the kernel log dropped before we read them.
    pub kernel_lines_lost: Option<u64>,
    /// Lines of ours that could not be written.
    pub unwritable_lines: Option<u64>,
    /// The last error of writing or reading, if it still holds.
    pub last_error: Option<String>,
    /// Since when the counts run.
    pub since: Option<String>,
}

/// Who writes the log files (`log.writer`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogWriter {
    /// rsyslog, from the kernel log.
    Rsyslog,
    /// The agent, from /dev/kmsg.
    Agent,
}

/// What protects a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Nothing in the kernel: others can wipe it, and we put it back.
    #[default]
    Plain,
    /// The kernel lets nobody but the agent change it; it goes when the agent dies.
    Owned,
    /// The kernel lets nobody but the agent change it; when the agent dies it stays, unprotected until the next start.
    Persistent,
    /// The kernel lets nobody but the agent change it, also while the agent is dead: the service manager keeps its socket.
    Stored,
}
