//! Namespaces: the items of the list, and one in detail.

use serde::{Deserialize, Serialize};

use crate::{Connections, NamespaceRecords, Protection, Schema};

/// Every selected namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// `1`.
    pub schema: Schema,
    /// Sorted by name.
    pub namespaces: Vec<Namespace>,
}

/// One selected namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name; `default` is the root namespace.
    pub name: String,
    /// The first 8 hex digits of the md5 of its name, as in log lines.
    pub hash: String,
    /// `SO_NETNS_COOKIE` in hex, the kernel's identity of it; `None` until it was opened.
    pub cookie: Option<String>,
    /// How it stands.
    pub state: NamespaceState,
    /// Since when it stands so.
    pub since: String,
    /// What its rules counted, over repairs.
    pub connections: Connections,
    /// How often its rules were put back.
    pub repairs: u64,
    /// When last.
    pub last_repair: Option<String>,
    /// Why it is not audited.
    pub error: Option<String>,
    /// Somebody keeps changing our rules; repairs are slowed down.
    pub fighting: bool,
    /// What was told of the connections that its rules counted.
    #[serde(default)]
    pub balance: Balance,
    /// What protects its table.
    #[serde(default)]
    pub protection: Protection,
    /// How the records of its connections go.
    #[serde(default)]
    pub records: NamespaceRecords,
}

/// What was told of counted connections, since the agent started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// Lines seen in the kernel log.
    pub lines: Connections,
    /// New connections that connection tracking told of.
    pub records: Connections,
    /// Counted connections that never had a line.
    pub unaccounted_lines: u64,
    /// Counted connections that connection tracking never told of.
    pub unaccounted_records: u64,
}

/// How a namespace stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamespaceState {
    /// The last attempt failed; it is tried again.
    Failed,
    /// Its rules differ and are about to be put back.
    Repairing,
    /// It was found and not yet looked into.
    Waiting,
    /// Its rules were in force when last looked at, and no event said otherwise.
    Audited,
}

/// One namespace with everything known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceDetail {
    /// `1`.
    pub schema: Schema,
    /// What the list says about it.
    pub namespace: Namespace,
    /// Our table as the kernel holds it now, as nft text; `None` if there is none or it cannot be read.
    pub rules: Option<String>,
    /// What each rule counted since it was made, in rule order.
    pub counters: Vec<RuleCounter>,
    /// The networks that limit what is audited, merged. Empty: everything is.
    pub networks: Vec<String>,
    /// The log prefixes of its rules.
    pub prefixes: Vec<String>,
    /// Its links, by index.
    pub links: Vec<Link>,
    /// What of the above could not be read, and why.
    pub unreadable: Vec<String>,
}

/// The counter of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCounter {
    /// The rule's comment, which names it.
    pub comment: Option<String>,
    /// Packets; in our chain one packet is one connection.
    pub packets: u64,
    /// Bytes of those packets.
    pub bytes: u64,
}

/// A network link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its index in the namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `veth`, `bridge`, ...; `None` for a plain device.
    pub kind: Option<String>,
    /// Whether it is administratively up.
    pub up: bool,
    /// The hardware address, if it has one.
    pub mac: Option<String>,
    /// Addresses with prefix length, `203.0.113.10/32`.
    pub addresses: Vec<String>,
}
