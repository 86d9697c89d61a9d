//! What is asked, and how well a connection fits. Pure.

use std::cmp::Ordering;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use regex::Regex;

use super::address::Asked;
use crate::session::record::{Endpoint, RecordAction, SessionRecord};

/// A question: which connections had this address, and port, then?
#[derive(Debug, Clone)]
pub struct Query {
    /// The address that is asked about.
    pub asked: Asked,
    /// The other end, if it is known.
    pub peer: Option<Asked>,
    /// When.
    pub span: Span,
    /// `tcp`, `udp`, ... as records have it.
    pub transport: Option<String>,
    /// Only in namespaces with such names.
    pub namespace: Option<Regex>,
}

/// When. Both ends belong to it; what is `None` has no end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
    /// What was reported; the nearer to it, the better.
    pub at: Option<Timestamp>,
}

/// What the address is in a connection, the best answer first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// What the world saw as the source: the translated source of a connection to the outside.
    OutsideSource,
    /// What the world dialled: the floating address of a connection from the outside.
    OutsideDestination,
    /// One end of a connection that was not translated; it opened it.
    Opener,
    /// One end of a connection that was not translated; it was dialled.
    Dialled,
    /// The instance's own address, as the opener.
    InsideSource,
    /// The instance's own address, as the one that was dialled.
    InsideDestination,
    /// The remote end.
    Remote,
    /// An address in a line of the kernel log, which shows one side only.
    KernelLine,
    /// Only the port of a line in the kernel log; address translation usually keeps it.
    KernelPort,
}

/// How well a connection fits. The least is the best.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// What the address is in it.
    pub role: Role,
    /// Whether the other end could be compared with the one asked for: it is left out of some records.
    pub peer_unknown: bool,
    /// From the time asked for to when it was opened: negative if it was opened before.
    pub apart: Option<SignedDuration>,
    /// When it was opened, seen or closed.
    pub time: Timestamp,
}

impl Span {
    /// So long before and after a time.
    pub fn around(at: Timestamp, window: SignedDuration) -> Self {
        let from = at.checked_sub(window).unwrap_or(Timestamp::MIN);
        let to = at.checked_add(window).unwrap_or(Timestamp::MAX);
        Self { from: Some(from), to: Some(to), at: Some(at) }
    }

    /// Whether a time lies in it.
    pub fn holds(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= time) && self.to.is_none_or(|to| time <= to)
    }

    /// Whether it has no end on either side.
    pub fn is_everything(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}

impl Role {
    /// Answers of one tier are told apart by time.
    fn tier(self) -> u8 {
        match self {
            Self::OutsideSource | Self::OutsideDestination | Self::Opener | Self::Dialled => 0,
            Self::InsideSource | Self::InsideDestination => 1,
            Self::Remote => 2,
            Self::KernelLine => 3,
            Self::KernelPort => 4,
        }
    }
}

impl Fit {
    /// What was reported lies in the life of a connection, so one that was opened before is likelier than one that was
    /// opened after, unless that one is four times nearer: clocks differ.
    fn weight(&self) -> i128 {
        match self.apart.map(|apart| apart.as_nanos()) {
            None => 0,
            Some(after) if after > 0 => after.saturating_mul(4),
            Some(before) => -before,
        }
    }
}

impl Ord for Fit {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |fit: &Self| (fit.role.tier(), fit.peer_unknown, fit.weight());
        let newest_first = other.time.cmp(&self.time);
        key(self).cmp(&key(other)).then(newest_first).then(self.role.cmp(&other.role))
    }
}

impl PartialOrd for Fit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Query {
    /// How well a record fits; `None` if it does not.
    pub fn fit(&self, record: &SessionRecord<'_>) -> Option<Fit> {
        let time = record.timestamp.0;
        let transport = self.transport.as_deref();
        let namespace = self.namespace.as_ref();
        let wanted = self.span.holds(time)
            && transport.is_none_or(|transport| transport == record.network.transport)
            && namespace.is_none_or(|pattern| pattern.is_match(&record.anetcon.namespace));
        if !wanted {
            return None;
        }
        let roles = roles(record);
        let matching = roles.into_iter().flatten();
        let mut fits: Vec<Fit> = matching
            .filter(|place| self.asked.is(place.address, place.port))
            .filter_map(|place| {
                let peer_unknown = self.peer_fits(record, place.at_source)?;
                let apart = self.span.at.map(|at| apart(record, at));
                Some(Fit { role: place.role, peer_unknown, apart, time })
            })
            .collect();
        fits.sort();
        fits.into_iter().next()
    }

    /// Whether the other end is the peer; `Some(true)` if the record leaves it out.
    fn peer_fits(&self, record: &SessionRecord<'_>, at_source: bool) -> Option<bool> {
        let Some(peer) = self.peer else { return Some(false) };
        let other = if at_source { &record.destination } else { &record.source };
        let Some(end) = other.as_ref().filter(|end| end.ip.is_some()) else { return Some(true) };
        let own = end.ip.is_some_and(|address| peer.is(address, end.port));
        let translated = end.nat.is_some_and(|nat| peer.is(nat.ip, nat.port));
        (own || translated).then_some(false)
    }
}

/// How far a connection's life is from a time: 0 inside it, as far as that is on record.
fn apart(record: &SessionRecord<'_>, at: Timestamp) -> SignedDuration {
    let time = record.timestamp.0;
    if record.event.action != RecordAction::End {
        return time.duration_since(at);
    }
    match record.event.start {
        _ if time < at => time.duration_since(at),
        Some(start) if start.0 > at => start.0.duration_since(at),
        _ => SignedDuration::ZERO,
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    role: Role,
    address: IpAddr,
    port: Option<u16>,
    at_source: bool,
}

/// The up to four addresses of a connection, each with what it is.
fn roles(record: &SessionRecord<'_>) -> [Option<Place>; 4] {
    let (source, destination) = (record.source.as_ref(), record.destination.as_ref());
    let translated = |end: Option<&Endpoint>| end.is_some_and(|end| end.nat.is_some());
    let (at_source, at_destination) = (translated(source), translated(destination));
    let own_source = match (at_source, at_destination) {
        (true, _) => Role::InsideSource,
        (false, true) => Role::Remote,
        (false, false) => Role::Opener,
    };
    let own_destination = match (at_source, at_destination) {
        (_, true) => Role::OutsideDestination,
        (true, false) => Role::Remote,
        (false, false) => Role::Dialled,
    };
    let own = |end: Option<&Endpoint>, role, at_source| {
        let end = end?;
        Some(Place { role, address: end.ip?, port: end.port, at_source })
    };
    let nat = |end: Option<&Endpoint>, role, at_source| {
        let nat = end?.nat?;
        Some(Place { role, address: nat.ip, port: nat.port, at_source })
    };
    [
        nat(source, Role::OutsideSource, true),
        own(destination, own_destination, false),
        own(source, own_source, true),
        nat(destination, Role::InsideDestination, false),
    ]
}
