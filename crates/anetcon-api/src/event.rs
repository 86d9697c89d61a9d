//! What `watch` streams: one [`Event`] per line, as it happens.

use serde::{Deserialize, Serialize};

use crate::{Author, RepairKind, Schema};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// `1`.
    pub schema: Schema,
    /// When.
    pub time: String,
    /// The namespace it happened in; `None` for what concerns the machine or the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What, as `"type"` and the fields that go with it.
    #[serde(flatten)]
    pub happening: Happening,
}

/// The kinds of event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happening {
    /// A selected namespace appeared.
    Appeared,
    /// An audited namespace was deleted, or is no longer selected.
    Vanished,
    /// The rules of a namespace are in force for the first time.
    Audited {
        /// From finding it to verified rules, in microseconds.
        took_us: u64,
    },
    /// Rules that somebody wiped or changed are in force again.
    Repaired {
        /// What was wrong, short phrases.
        reasons: Vec<String>,
        /// From the notice to verified rules, in microseconds.
        took_us: u64,
        /// Who did it, as far as the kernel told.
        authors: Vec<Author>,
        /// Whether rules were put there anew or put back.
        kind: RepairKind,
    },
    /// A namespace is not audited.
    Failed {
        /// Why.
        error: String,
    },
    /// A namespace that had failed is audited again.
    Recovered,
    /// Somebody keeps changing our rules; repairs are slowed down.
    Fighting {
        /// The delay before the next repair, in milliseconds.
        delay_ms: u64,
        /// Who, as far as the kernel told.
        authors: Vec<Author>,
    },
    /// Nobody changed our rules for a while; repairs are immediate again.
    FightingEnded,
    /// A configuration was loaded and is in force.
    Reloaded {
        /// One short phrase for each key that changed.
        changes: Vec<String>,
    },
    /// A configuration could not be loaded; the running one stays in force.
    ReloadFailed {
        /// The rendered diagnostics.
        error: String,
    },
    /// net.netfilter.nf_log_all_netns changed, or could not be set.
    NfLogAllNetns {
        /// The value now; `None` if it cannot be read.
        value: Option<u8>,
        /// Whether lines of all namespaces reach the kernel log now.
        ok: bool,
        /// Why it could not be read or set.
        error: Option<String>,
    },
    /// The kernel log ran over before we read it.
    KernelLinesLost {
        /// How many of its lines, of any kind, were lost.
        lines: u64,
    },
    /// Lines could not be written to the log files.
    LogWriteError {
        /// Why.
        error: String,
    },
    /// The log files can be written again.
    LogWriteRecovered {
        /// How many lines were lost meanwhile.
        unwritable_lines: u64,
    },
    /// This watcher was too slow and missed events.
    EventsMissed {
        /// How many.
        count: u64,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}
