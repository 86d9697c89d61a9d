//! The line of one connection, in the names of the Elastic Common Schema (ECS).
//!
//! conf/anetcon.sessions.schema.json says the same as a JSON Schema, and a test holds the two together. The order of the fields
//! is that of the line; `search` relies on `ip` standing right before `port` only to be fast, not to be right.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use anetcon_core::session::Action;
use jiff::Timestamp;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The version of ECS whose names these are.
pub const ECS_VERSION: &str = "8.11.0";

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord<'a> {
    /// When: the first packet, the end, or for `seen` the dump that found it. [`Anetcon::clock`] says whose clock it is.
    #[serde(rename = "@timestamp")]
    pub timestamp: Micros,
    /// Names the version of ECS.
    #[serde(borrow)]
    pub ecs: Ecs<'a>,
    /// What happened.
    #[serde(borrow)]
    pub event: EventFields<'a>,
    /// What both ends have in common.
    #[serde(borrow)]
    pub network: Network<'a>,
    /// Who opened the connection. Absent if that is the remote end and remote ends are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Endpoint>,
    /// Who was dialled. Absent likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Endpoint>,
    /// The machine.
    #[serde(borrow)]
    pub observer: Observer<'a>,
    /// The agent's run.
    #[serde(borrow)]
    pub agent: Agent<'a>,
    /// What ECS has no name for.
    #[serde(borrow)]
    pub anetcon: Anetcon<'a>,
}

/// `ecs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ecs<'a> {
    /// [`ECS_VERSION`].
    #[serde(borrow)]
    pub version: Cow<'a, str>,
}

/// `event`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFields<'a> {
    /// `event`.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// `network`.
    #[serde(borrow)]
    pub category: Vec<Cow<'a, str>>,
    /// `connection`, and `start`, `info` (seen open) or `end`.
    #[serde(borrow, rename = "type")]
    pub types: Vec<Cow<'a, str>>,
    /// `float`, `nat` or `direct` at the start; else `seen` or `end`.
    pub action: RecordAction,
    /// When the agent put it in the file; only if that was over a second after the time of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Micros>,
    /// When the connection began; for `seen` and `end`, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Micros>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Micros>,
    /// How long it lasted, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
}

/// `event.action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordAction {
    /// Opened, the destination translated.
    Float,
    /// Opened, only the source translated.
    Nat,
    /// Opened, nothing translated.
    Direct,
    /// Found open.
    Seen,
    /// Over.
    End,
}

/// `anetcon.kind`: what the translation was, whatever happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordKind {
    /// The destination is translated.
    Float,
    /// Only the source is.
    Nat,
    /// Nothing is.
    Direct,
}

/// `network`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network<'a> {
    /// `tcp`, `udp`, `sctp`, `icmp`, `ipv6-icmp`, or the protocol's number.
    #[serde(borrow)]
    pub transport: Cow<'a, str>,
    /// `ipv4` or `ipv6`.
    #[serde(borrow, rename = "type")]
    pub family: Cow<'a, str>,
    /// The Community ID of the inside tuple. Absent if the remote end is left out: it could be found by trying.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub community_id: Option<Cow<'a, str>>,
    /// Of both directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Of both directions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u64>,
}

/// `source` or `destination`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address before translation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The port before translation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What it was translated to, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat: Option<Translated>,
    /// Sent by this end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Sent by this end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u64>,
}

/// `source.nat` or `destination.nat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translated {
    /// The address after translation.
    pub ip: IpAddr,
    /// The port after translation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// `observer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observer<'a> {
    /// The host's name.
    #[serde(borrow)]
    pub hostname: Cow<'a, str>,
}

/// `agent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent<'a> {
    /// Another one at each start: [`Anetcon::seq`] counts within it.
    #[serde(borrow)]
    pub ephemeral_id: Cow<'a, str>,
}

/// `anetcon`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anetcon<'a> {
    /// The namespace's name; `default` is the root namespace.
    #[serde(borrow)]
    pub namespace: Cow<'a, str>,
    /// The UUID in the name, if there is one.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub router_id: Option<Cow<'a, str>>,
    /// The kernel's identity of the namespace, in hex.
    #[serde(borrow)]
    pub cookie: Cow<'a, str>,
    /// The kernel's id of this boot.
    #[serde(borrow)]
    pub boot_id: Cow<'a, str>,
    /// What the translation was.
    pub kind: RecordKind,
    /// The kernel's id of the connection.
    pub conntrack_id: u32,
    /// The conntrack zone.
    pub zone: u16,
    /// Counts the records of one run from 1. A number that is missing is a record that was lost.
    pub seq: u64,
    /// Whose clock `@timestamp` is.
    pub clock: Clock,
    /// The Community ID of the tuple that the world sees.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub outside_community_id: Option<Cow<'a, str>>,
    /// For ICMP, what stands for ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<IcmpFields>,
}

/// `anetcon.icmp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IcmpFields {
    /// The type.
    #[serde(rename = "type")]
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// The identifier of an echo.
    pub id: u16,
    /// What the identifier was translated to, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat_id: Option<u16>,
}

/// `anetcon.clock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The kernel stamped the event when it happened.
    Kernel,
    /// The agent stamped it when it read it.
    Agent,
}

/// A time that is written in UTC with microseconds: `2026-11-23T14:03:10.123456Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub Timestamp);

impl From<Action> for RecordKind {
    fn from(action: Action) -> Self {
        match action {
            Action::Float => Self::Float,
            Action::Nat => Self::Nat,
            Action::Direct => Self::Direct,
        }
    }
}

impl From<Action> for RecordAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Float => Self::Float,
            Action::Nat => Self::Nat,
            Action::Direct => Self::Direct,
        }
    }
}

impl SessionRecord<'_> {
    /// When the line was put in the file, to about a second: the lines of a file are in this order, not in that of their
    /// events, which may have waited in the kernel.
    pub fn filed(&self) -> Timestamp {
        self.event.created.map_or(self.timestamp.0, |created| created.0)
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.6}", self.0))
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(MicrosVisitor)
    }
}

struct MicrosVisitor;

impl Visitor<'_> for MicrosVisitor {
    type Value = Micros;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time as in RFC 3339")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Micros, E> {
        text.parse().map(Micros).map_err(E::custom)
    }
}
