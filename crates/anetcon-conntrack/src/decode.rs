//! Conntrack messages as the core's events. Pure: any bytes give an event, nothing, or [`Malformed`].
//!
//! Numbers: linux/netfilter/nfnetlink_conntrack.h. Attributes that say nothing about who spoke to whom are passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anetcon_core::session::{Count, Counters, Event, EventKind, Flow, Icmp, Tuple};
use anetcon_netlink::Malformed;
use anetcon_netlink::attribute::{Attribute, attributes};
use anetcon_netlink::message::{Message, flag};

/// `NLM_F_CREATE`: tells a new connection from an update of one.
const CREATE: u16 = 0x400;

/// Message types: `NFNL_SUBSYS_CTNETLINK` (1) in the upper byte.
pub(crate) mod kind {
    /// `IPCTNL_MSG_CT_NEW`.
    pub(crate) const NEW: u16 = 0x0100;
    /// `IPCTNL_MSG_CT_GET`.
    pub(crate) const GET: u16 = 0x0101;
    /// `IPCTNL_MSG_CT_DELETE`.
    pub(crate) const DELETE: u16 = 0x0102;
    /// `IPCTNL_MSG_CT_GET_STATS`.
    pub(crate) const GET_STATS: u16 = 0x0105;
}

/// Attributes.
pub(crate) mod attribute {
    /// `CTA_TUPLE_ORIG`.
    pub(crate) const TUPLE_ORIG: u16 = 1;
    pub(super) const TUPLE_REPLY: u16 = 2;
    pub(super) const STATUS: u16 = 3;
    pub(super) const COUNTERS_ORIG: u16 = 9;
    pub(super) const COUNTERS_REPLY: u16 = 10;
    pub(super) const ID: u16 = 12;
    pub(super) const ZONE: u16 = 18;
    pub(super) const TIMESTAMP: u16 = 20;
    /// Kernel 6.14.
    pub(super) const TIMESTAMP_EVENT: u16 = 27;

    /// Of `GET_STATS`, `CTA_STATS_GLOBAL_ENTRIES`.
    pub(super) const STATS_ENTRIES: u16 = 1;

    pub(super) const TUPLE_IP: u16 = 1;
    /// `CTA_TUPLE_PROTO`.
    pub(crate) const TUPLE_PROTO: u16 = 2;
    /// Instead of `ZONE` where only one direction has a zone.
    pub(super) const TUPLE_ZONE: u16 = 3;

    pub(super) const IP_V4_SRC: u16 = 1;
    pub(super) const IP_V4_DST: u16 = 2;
    pub(super) const IP_V6_SRC: u16 = 3;
    pub(super) const IP_V6_DST: u16 = 4;

    /// `CTA_PROTO_NUM`.
    pub(crate) const PROTO_NUM: u16 = 1;
    pub(super) const PROTO_SRC_PORT: u16 = 2;
    pub(super) const PROTO_DST_PORT: u16 = 3;
    pub(super) const PROTO_ICMP_ID: u16 = 4;
    pub(super) const PROTO_ICMP_TYPE: u16 = 5;
    pub(super) const PROTO_ICMP_CODE: u16 = 6;
    pub(super) const PROTO_ICMPV6_ID: u16 = 7;
    pub(super) const PROTO_ICMPV6_TYPE: u16 = 8;
    pub(super) const PROTO_ICMPV6_CODE: u16 = 9;

    pub(super) const COUNTERS_PACKETS: u16 = 1;
    pub(super) const COUNTERS_BYTES: u16 = 2;

    pub(super) const TIMESTAMP_START: u16 = 1;
    pub(super) const TIMESTAMP_STOP: u16 = 2;
}

/// What a message tells of; `None` for what is no connection that began, ended or was found.
pub(crate) fn event(message: &Message<'_>) -> Result<Option<Event>, Malformed> {
    let kind = match message.kind {
        kind::NEW if message.flags & flag::MULTI != 0 => EventKind::Seen,
        kind::NEW if message.flags & CREATE != 0 => EventKind::New,
        kind::DELETE => EventKind::Destroy,
        _ => return Ok(None),
    };
    let (_, stream) = message.body()?;
    let parts = Parts::read(stream)?;
    let (Some(id), Some(status), Some((original, zone)), Some((reply, _))) =
        (parts.id, parts.status, parts.original, parts.reply)
    else {
        return Err(Malformed("connection"));
    };
    let zone = parts.zone.or(zone).unwrap_or_default();
    let counters = parts.counters;
    let (start, stop) = (parts.start, parts.stop);
    let flow = Flow { id, zone, status, original, reply, counters, start, stop };
    Ok(Some(Event { kind, flow, time: parts.time }))
}

/// How many connections an answer to `GET_STATS` tells of: all that the namespace has, also those that are just being made.
pub(crate) fn entries(message: &Message<'_>) -> Result<u32, Malformed> {
    let (_, stream) = message.body()?;
    for attribute in attributes(stream) {
        let attribute = attribute?;
        if attribute.kind == attribute::STATS_ENTRIES {
            return attribute.be32();
        }
    }
    Err(Malformed("count of connections"))
}

/// What was found in a message so far.
#[derive(Default)]
struct Parts {
    id: Option<u32>,
    status: Option<u32>,
    zone: Option<u16>,
    original: Option<(Tuple, Option<u16>)>,
    reply: Option<(Tuple, Option<u16>)>,
    counters: Option<Counters>,
    start: Option<u64>,
    stop: Option<u64>,
    time: Option<u64>,
}

impl Parts {
    fn read(stream: &[u8]) -> Result<Self, Malformed> {
        let mut parts = Self::default();
        for attribute in attributes(stream) {
            parts.take(attribute?)?;
        }
        Ok(parts)
    }

    fn take(&mut self, attribute: Attribute<'_>) -> Result<(), Malformed> {
        match attribute.kind {
            attribute::TUPLE_ORIG => self.original = Some(tuple(attribute.data)?),
            attribute::TUPLE_REPLY => self.reply = Some(tuple(attribute.data)?),
            attribute::STATUS => self.status = Some(attribute.be32()?),
            attribute::ID => self.id = Some(attribute.be32()?),
            attribute::ZONE => self.zone = Some(attribute.be16()?),
            attribute::TIMESTAMP_EVENT => self.time = Some(attribute.be64()?),
            attribute::COUNTERS_ORIG => {
                self.counters.get_or_insert_default().original = count(attribute.data)?;
            }
            attribute::COUNTERS_REPLY => {
                self.counters.get_or_insert_default().reply = count(attribute.data)?;
            }
            attribute::TIMESTAMP => self.times(attribute.data)?,
            _ => (),
        }
        Ok(())
    }

    fn times(&mut self, stream: &[u8]) -> Result<(), Malformed> {
        for attribute in attributes(stream) {
            let attribute = attribute?;
            match attribute.kind {
                attribute::TIMESTAMP_START => self.start = Some(attribute.be64()?),
                attribute::TIMESTAMP_STOP => self.stop = Some(attribute.be64()?),
                _ => (),
            }
        }
        Ok(())
    }
}

/// A direction, and its zone if it has one of its own.
fn tuple(stream: &[u8]) -> Result<(Tuple, Option<u16>), Malformed> {
    let (mut addresses, mut transport, mut zone) = (None, None, None);
    for attribute in attributes(stream) {
        let attribute = attribute?;
        match attribute.kind {
            attribute::TUPLE_IP => addresses = Some(self::addresses(attribute.data)?),
            attribute::TUPLE_PROTO => transport = Some(Transport::read(attribute.data)?),
            attribute::TUPLE_ZONE => zone = Some(attribute.be16()?),
            _ => (),
        }
    }
    let (Some((source, destination)), Some(transport)) = (addresses, transport) else {
        return Err(Malformed("tuple"));
    };
    let tuple = Tuple {
        protocol: transport.protocol,
        source: SocketAddr::new(source, transport.source),
        destination: SocketAddr::new(destination, transport.destination),
        icmp: transport.icmp,
    };
    Ok((tuple, zone))
}

fn addresses(stream: &[u8]) -> Result<(IpAddr, IpAddr), Malformed> {
    let (mut source, mut destination) = (None, None);
    for attribute in attributes(stream) {
        let attribute = attribute?;
        match attribute.kind {
            attribute::IP_V4_SRC => source = Some(v4(attribute)?),
            attribute::IP_V4_DST => destination = Some(v4(attribute)?),
            attribute::IP_V6_SRC => source = Some(v6(attribute)?),
            attribute::IP_V6_DST => destination = Some(v6(attribute)?),
            _ => (),
        }
    }
    source.zip(destination).ok_or(Malformed("addresses of a tuple"))
}

fn v4(attribute: Attribute<'_>) -> Result<IpAddr, Malformed> {
    attribute.bytes::<4>().map(|octets| Ipv4Addr::from(octets).into())
}

fn v6(attribute: Attribute<'_>) -> Result<IpAddr, Malformed> {
    attribute.bytes::<16>().map(|octets| Ipv6Addr::from(octets).into())
}

/// What stands above the addresses.
#[derive(Default)]
struct Transport {
    protocol: u8,
    source: u16,
    destination: u16,
    icmp: Option<Icmp>,
}

impl Transport {
    fn read(stream: &[u8]) -> Result<Self, Malformed> {
        let mut transport = Self::default();
        for attribute in attributes(stream) {
            transport.take(attribute?)?;
        }
        // 0 is no transport protocol, so it can stand for none.
        if transport.protocol == 0 { Err(Malformed("protocol of a tuple")) } else { Ok(transport) }
    }

    fn take(&mut self, attribute: Attribute<'_>) -> Result<(), Malformed> {
        match attribute.kind {
            attribute::PROTO_NUM => self.protocol = attribute.u8()?,
            attribute::PROTO_SRC_PORT => self.source = attribute.be16()?,
            attribute::PROTO_DST_PORT => self.destination = attribute.be16()?,
            attribute::PROTO_ICMP_ID | attribute::PROTO_ICMPV6_ID => {
                self.icmp().id = attribute.be16()?;
            }
            attribute::PROTO_ICMP_TYPE | attribute::PROTO_ICMPV6_TYPE => {
                self.icmp().kind = attribute.u8()?;
            }
            attribute::PROTO_ICMP_CODE | attribute::PROTO_ICMPV6_CODE => {
                self.icmp().code = attribute.u8()?;
            }
            _ => (),
        }
        Ok(())
    }

    fn icmp(&mut self) -> &mut Icmp {
        self.icmp.get_or_insert_default()
    }
}

fn count(stream: &[u8]) -> Result<Count, Malformed> {
    let mut count = Count::default();
    for attribute in attributes(stream) {
        let attribute = attribute?;
        match attribute.kind {
            attribute::COUNTERS_PACKETS => count.packets = attribute.be64()?,
            attribute::COUNTERS_BYTES => count.bytes = attribute.be64()?,
            _ => (),
        }
    }
    Ok(count)
}

#[cfg(test)]
pub(crate) mod tests;
