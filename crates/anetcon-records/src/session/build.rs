//! From what the kernel tells about a connection to its record. Pure.
//!
//! `source` is who sent the first packet, `destination` whom it dialled; `nat` stands below an end that was translated:
//!
//! | | `source` | `source.nat` | `destination` | `destination.nat` |
//! | --- | --- | --- | --- | --- |
//! | tuple | original source | reply destination | original destination | reply source |
//! | nat: an instance goes out | instance | router or floating address | remote end | |
//! | float: a remote end comes in | remote end | | floating address | instance |
//! | hairpin: one instance to the floating address of another (action `float`) | instance | router or floating address | floating address | other instance |
//! | direct | who opened | | who was dialled | |
//!
//! The inside tuple is `source` to `destination.nat` (else `destination`): the addresses that the instances know as their own.
//! The outside tuple is `source.nat` (else `source`) to `destination`: what the world sees. Without translation they are one.

use std::net::SocketAddr;

use anetcon_core::session::{Action, Event, EventKind, Flow, Tuple};
use jiff::{SignedDuration, Timestamp};

use super::community::community_id;
use super::record::{
    Agent, Anetcon, Clock, ECS_VERSION, Ecs, Endpoint, EventFields, IcmpFields, Micros, Network,
    Observer, RecordAction, SessionRecord, Translated,
};

/// From which delay on a record says when it was filed.
const LATE: SignedDuration = SignedDuration::from_secs(1);

/// What all records of one run of the agent share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The host's name.
    pub hostname: String,
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// Unlike that of any other run; see [`Run::id_at`].
    pub id: String,
    /// Whether records hold the remote end (`records.destination`).
    pub destination: bool,
}

impl Run {
    /// An id for a run that starts now: the nanoseconds since 1970, in hex.
    pub fn id_at(now: Timestamp) -> String {
        format!("{:x}", now.as_nanosecond())
    }
}

/// Where a connection was tracked. Made once for each namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    namespace: String,
    router_id: Option<String>,
    cookie: String,
}

impl Origin {
    /// The namespace's name (`default` for the root namespace) and its cookie as it is written everywhere: in hex.
    pub fn new(namespace: impl Into<String>, cookie: impl Into<String>) -> Self {
        let namespace = namespace.into();
        let router_id = uuid(&namespace).map(str::to_owned);
        Self { namespace, router_id, cookie: cookie.into() }
    }

    /// The namespace's name.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The namespace's cookie in hex.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }
}

/// One connection with its place and number, ready to become a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) run: &'a Run,
    pub(crate) origin: &'a Origin,
    pub(crate) event: &'a Event,
    pub(crate) action: Action,
    pub(crate) seq: u64,
    /// When the agent read the event.
    pub(crate) read: Timestamp,
    /// When it goes into the file: then, unless it had to be looked for first.
    pub(crate) filed: Timestamp,
    /// When the connection began, where the agent remembers what the kernel does not tell.
    pub(crate) start: Option<Timestamp>,
}

/// Which of the two ends is outside, for records that leave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remote {
    Source,
    Destination,
    None,
}

/// The record.
pub(crate) fn record<'a>(facts: &Facts<'a>) -> SessionRecord<'a> {
    let Facts { run, origin, event, action, seq, .. } = *facts;
    let flow = &event.flow;
    let (timestamp, clock) = time(facts);
    let ids = if run.destination { community_ids(flow) } else { [None, None] };
    let [community_id, outside_community_id] = ids.map(|id| id.map(Into::into));
    let [source, destination] = ends(flow, action, run.destination);
    let counted = flow.counters.filter(|_| event.kind == EventKind::Destroy);
    SessionRecord {
        timestamp: Micros(timestamp),
        ecs: Ecs { version: ECS_VERSION.into() },
        event: event_fields(facts, timestamp),
        network: Network {
            transport: transport(flow.original.protocol),
            family: if flow.original.source.is_ipv4() { "ipv4" } else { "ipv6" }.into(),
            community_id,
            bytes: counted.map(|both| both.original.bytes.saturating_add(both.reply.bytes)),
            packets: counted.map(|both| both.original.packets.saturating_add(both.reply.packets)),
        },
        source,
        destination,
        observer: Observer { hostname: run.hostname.as_str().into() },
        agent: Agent { ephemeral_id: run.id.as_str().into() },
        anetcon: Anetcon {
            namespace: origin.namespace.as_str().into(),
            router_id: origin.router_id.as_deref().map(Into::into),
            cookie: origin.cookie.as_str().into(),
            boot_id: run.boot_id.as_str().into(),
            kind: action.into(),
            conntrack_id: flow.id,
            zone: flow.zone,
            seq,
            clock,
            outside_community_id,
            icmp: icmp(flow),
        },
    }
}

/// Both ends as they are written, `source` and `destination`.
pub(crate) fn ends(flow: &Flow, action: Action, with_remote: bool) -> [Option<Endpoint>; 2] {
    let (original, reply) = (&flow.original, &flow.reply);
    let counters = flow.counters.unwrap_or_default();
    let counted = flow.counters.is_some();
    let end = |address: SocketAddr, translated: SocketAddr, count: anetcon_core::session::Count| {
        Endpoint {
            ip: Some(address.ip()),
            port: port(original, address),
            nat: (address != translated)
                .then(|| Translated { ip: translated.ip(), port: port(original, translated) }),
            bytes: counted.then_some(count.bytes),
            packets: counted.then_some(count.packets),
        }
    };
    let source = end(original.source, reply.destination, counters.original);
    let destination = end(original.destination, reply.source, counters.reply);
    match if with_remote { Remote::None } else { remote(&source, action) } {
        Remote::None => [Some(source), Some(destination)],
        Remote::Source => [without_address(source), Some(destination)],
        Remote::Destination => [Some(source), without_address(destination)],
    }
}

/// A connection to a floating address comes from outside, unless its source is translated, too: then both ends are ours.
fn remote(source: &Endpoint, action: Action) -> Remote {
    match (action, source.nat) {
        (Action::Float, None) => Remote::Source,
        (Action::Float, Some(_)) => Remote::None,
        (Action::Nat | Action::Direct, _) => Remote::Destination,
    }
}

/// What may be said about an end whose address may not.
fn without_address(end: Endpoint) -> Option<Endpoint> {
    let rest = Endpoint { ip: None, port: None, nat: None, ..end };
    (rest != Endpoint::default()).then_some(rest)
}

/// ICMP has none, and neither has a protocol that conntrack knows only by its number.
fn port(tuple: &Tuple, address: SocketAddr) -> Option<u16> {
    let none = tuple.icmp.is_some() || !matches!(tuple.protocol, 6 | 17 | 33 | 132 | 136);
    (!none).then_some(address.port())
}

/// Of the inside and of the outside tuple.
fn community_ids(flow: &Flow) -> [Option<String>; 2] {
    let inside = Tuple { destination: flow.reply.source, ..flow.original };
    let outside = Tuple { source: flow.reply.destination, ..flow.original };
    let inside_id = community_id(&inside);
    let outside_id = if inside == outside { inside_id.clone() } else { community_id(&outside) };
    [inside_id, outside_id]
}

fn icmp(flow: &Flow) -> Option<IcmpFields> {
    let asked = flow.original.icmp?;
    let nat_id = flow.reply.icmp.map(|answer| answer.id).filter(|&id| id != asked.id);
    Some(IcmpFields { kind: asked.kind, code: asked.code, id: asked.id, nat_id })
}

/// `@timestamp`: the kernel's time where it gives one.
fn time(facts: &Facts<'_>) -> (Timestamp, Clock) {
    let told = match facts.event.kind {
        EventKind::New => facts.event.time,
        EventKind::Destroy => facts.event.time.or(facts.event.flow.stop),
        // It was found now, whenever it began.
        EventKind::Seen => None,
    };
    match told.and_then(nanoseconds) {
        Some(time) => (time, Clock::Kernel),
        None => (facts.read, Clock::Agent),
    }
}

fn event_fields<'a>(facts: &Facts<'_>, timestamp: Timestamp) -> EventFields<'a> {
    let (flow, kind) = (&facts.event.flow, facts.event.kind);
    let (about, action) = match kind {
        EventKind::New => ("start", facts.action.into()),
        EventKind::Seen => ("info", RecordAction::Seen),
        EventKind::Destroy => ("end", RecordAction::End),
    };
    let start = match kind {
        EventKind::New => None,
        _ => flow.start.and_then(nanoseconds).or(facts.start),
    };
    let end =
        (kind == EventKind::Destroy).then(|| flow.stop.and_then(nanoseconds).unwrap_or(timestamp));
    let lasted = start.zip(end).map(|(start, end)| end.duration_since(start));
    EventFields {
        kind: "event".into(),
        category: vec!["network".into()],
        types: vec!["connection".into(), about.into()],
        action,
        created: (facts.filed.duration_since(timestamp) > LATE).then_some(Micros(facts.filed)),
        start: start.map(Micros),
        end: end.map(Micros),
        duration: lasted.and_then(|lasted| u64::try_from(lasted.as_nanos()).ok()),
    }
}

pub(crate) fn nanoseconds(since_1970: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(since_1970)).ok()
}

/// The word of ECS for a protocol, else its number.
fn transport(protocol: u8) -> std::borrow::Cow<'static, str> {
    match protocol {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        33 => "dccp".into(),
        58 => "ipv6-icmp".into(),
        132 => "sctp".into(),
        136 => "udplite".into(),
        other => other.to_string().into(),
    }
}

/// The last UUID that stands alone at the end of a name: `qrouter-a4fadad3-e529-4329-a086-010b84363596`.
fn uuid(name: &str) -> Option<&str> {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let start = name.len().checked_sub(36)?;
    let (before, id) = (name.get(..start)?, name.get(start..)?);
    let hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut groups = id.split('-');
    let whole = GROUPS
        .iter()
        .all(|&length| groups.next().is_some_and(|group| group.len() == length && hex(group)));
    let alone = before.is_empty() || before.ends_with('-');
    (whole && groups.next().is_none() && alone).then_some(id)
}
