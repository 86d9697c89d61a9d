//! The control socket's language: the documents that agent and command line tool exchange, and the client.
//!
//! HTTP/1.1 with JSON bodies over a Unix socket, so that `curl --unix-socket` speaks it too. Every
//! document says `"schema": 1`; times are RFC 3339 in UTC. Nothing of the agent's inside belongs here:
//! this crate knows none of ours.

#![forbid(unsafe_code)]

pub mod client;
mod diff;
mod event;
mod ledger;
mod manifest;
mod metrics;
mod namespace;
pub mod paths;
mod records;
mod refusal;
mod reload;
mod schema;
mod status;

pub use client::{Client, Error};
pub use diff::{Diff, NamespaceDiff};
pub use event::{Event, Happening};
pub use ledger::LedgerStatus;
pub use manifest::ManifestStatus;
pub use metrics::MetricsStatus;
pub use namespace::{
    Balance, Link, Namespace, NamespaceDetail, NamespaceState, Namespaces, RuleCounter,
};
pub use records::{NamespaceRecords, RecordsStatus, Rotated};
pub use refusal::{Refusal, RefusalBody};
pub use reload::Reload;
pub use schema::Schema;
pub use status::{
    Author, ConfigurationStatus, Connections, FailedNamespace, LogStatus, LogWriter,
    NamespaceCounts, NfLogAllNetns, Protection, Repair, RepairKind, Repairs, Status, Unaccounted,
    Verdict,
};
