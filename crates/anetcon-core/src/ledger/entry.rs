//! One line of the ledger.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// Lines in the kernel log, and the two files they are sorted into.
    KernelLog,
    /// Session records.
    Records,
}

/// Why auditing was not in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The namespace was there before its rules were.
    Born,
    /// Somebody removed or changed the rules.
    Wiped,
    /// No agent ran.
    AgentDown,
    /// The namespace could not be opened or programmed.
    Unreachable,
    /// `net.netfilter.nf_log_all_netns` was 0: the kernel logs nothing outside the root namespace then.
    NfLogOff,
    /// The kernel log was overwritten before it was read.
    KernelLinesLost,
    /// The kernel's buffer for connection events ran over.
    RecordOverrun,
    /// The kernel counted connections that were never told of, and nothing else says why.
    Unaccounted,
    /// A file could not be written.
    DiskFull,
    /// The configuration left the namespace out, which was audited before.
    NotSelected,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Born,
        Self::Wiped,
        Self::AgentDown,
        Self::Unreachable,
        Self::NfLogOff,
        Self::KernelLinesLost,
        Self::RecordOverrun,
        Self::Unaccounted,
        Self::DiskFull,
        Self::NotSelected,
    ];
}

/// What a line tells of its gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// An agent started; `from` is the last sign of life of the one before, if there was one.
    Start,
    /// The gap begins.
    Begin,
    /// It is over.
    End,
    /// Both: it is over already.
    Gap,
    /// There was no gap on this channel although no agent ran: the rules stood, or the events were kept.
    Stood,
    /// How many connections are on record that the kernel log lacks.
    Missed,
    /// The wall clock was set; `from` is what it said before, `to` after.
    Clock,
}

/// Who changed the rules, as far as the kernel told and /proc still knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Culprit {
    /// The process's name (`comm`, 15 bytes).
    pub process: String,
    /// The thread's id in the first PID namespace (`task_pid_nr`, net/netfilter/nf_tables_api.c).
    pub tid: u32,
    /// The command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The real user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `1`.
    pub schema: u32,
    /// When it was written.
    #[serde(rename = "@timestamp", with = "micros")]
    pub written: Timestamp,
    /// What it tells.
    pub mark: Mark,
    /// Names the gap: the run of the agent that saw it begin, and a number. Lines of one gap share it.
    pub gap: String,
    /// For parts of the time without an agent: the gap of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Where; absent: in every audited namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The kernel's identity of the namespace, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// Which file could not be written: `float`, `nat` or `sessions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Channel>,
    /// From when.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros_or_none")]
    pub from: Option<Timestamp>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros_or_none")]
    pub to: Option<Timestamp>,
    /// What differed, or what went wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub culprits: Vec<Culprit>,
    /// Kernel log records, of anybody, or lines or records of ours, that are known to be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// Connections on record that the kernel log lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// The kernel's id of the boot in which it was written.
    pub boot_id: String,
}

impl Entry {
    /// A line that says nothing but what it is.
    pub fn new(mark: Mark, gap: String, written: Timestamp, boot_id: &str) -> Self {
        Self {
            schema: 1,
            written,
            mark,
            gap,
            of: None,
            cause: None,
            namespace: None,
            cookie: None,
            file: None,
            channels: Vec::new(),
            from: None,
            to: None,
            reasons: Vec::new(),
            culprits: Vec::new(),
            lost: None,
            connections: None,
            boot_id: boot_id.to_owned(),
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KernelLog => "kernel log",
            Self::Records => "records",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Born => "born",
            Self::Wiped => "wiped",
            Self::AgentDown => "agent-down",
            Self::Unreachable => "unreachable",
            Self::NfLogOff => "nf-log-off",
            Self::KernelLinesLost => "kernel-lines-lost",
            Self::RecordOverrun => "record-overrun",
            Self::Unaccounted => "unaccounted",
            Self::DiskFull => "disk-full",
            Self::NotSelected => "not-selected",
        })
    }
}

/// Times as all our files have them: RFC 3339, UTC, microseconds.
mod micros {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{time:.6}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

mod micros_or_none {
    use jiff::Timestamp;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::micros::serialize(time, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        super::micros::deserialize(from).map(Some)
    }
}
