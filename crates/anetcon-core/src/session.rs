//! Connections as connection tracking tells of them, and which of them are put on record.
//!
//! The values here are the kernel's facts, decoded elsewhere and written elsewhere. [`Limits`] records exactly what
//! the rules of [`desired`](crate::desired) log: the same protocols, the same networks on the same side.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::config::{Config, NetworksScope};
use crate::netns::NetnsName;

/// Bits of a connection's status (`enum ip_conntrack_status`, linux/netfilter/nf_conntrack_common.h).
pub mod status {
    /// `IPS_EXPECTED`: another connection announced it (RELATED).
    pub const EXPECTED: u32 = 1 << 0;
    /// `IPS_SRC_NAT`: the source is translated.
    pub const SRC_NAT: u32 = 1 << 4;
    /// `IPS_DST_NAT`: the destination is translated.
    pub const DST_NAT: u32 = crate::expr::kernel::CT_STATUS_DST_NAT;
}

/// What the kernel told about one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened to it.
    pub kind: EventKind,
    /// The connection as it was then.
    pub flow: Flow,
    /// When, by the kernel's clock: nanoseconds since 1970 (`CTA_TIMESTAMP_EVENT`). `None` where the kernel does not say
    /// (before 6.14, or with `nf_conntrack_timestamp` off); always `None` for [`EventKind::Seen`].
    pub time: Option<u64>,
}

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Its first packet passed.
    New,
    /// The kernel forgot it: it was closed, or nothing was sent for long.
    Destroy,
    /// A dump found it open. It may have been told of before.
    Seen,
}

/// One connection as connection tracking knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// `CTA_ID`. Together with the tuples it tells connections apart; alone it may come again.
    pub id: u32,
    /// The conntrack zone; 0 unless rules assign others.
    pub zone: u16,
    /// The bits of [`status`].
    pub status: u32,
    /// As the first packet came: the source before its translation, the destination that was dialled.
    pub original: Tuple,
    /// As the answers come: from the translated destination to the translated source.
    pub reply: Tuple,
    /// What passed so far; `None` unless `nf_conntrack_acct` is on. The kernel tells it at the end and in dumps.
    pub counters: Option<Counters>,
    /// When it began: nanoseconds since 1970; only with `nf_conntrack_timestamp` on, at the end and in dumps.
    pub start: Option<u64>,
    /// When it ended, likewise.
    pub stop: Option<u64>,
}

/// One direction of a connection. Ports are 0 for protocols that have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    /// `IPPROTO_*`.
    pub protocol: u8,
    /// From where.
    pub source: SocketAddr,
    /// To where.
    pub destination: SocketAddr,
    /// For ICMP and ICMPv6 only.
    pub icmp: Option<Icmp>,
}

/// What stands for ports in ICMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Icmp {
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// The identifier of an echo.
    pub id: u16,
}

/// What passed in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// From who began the connection.
    pub original: Count,
    /// The answers.
    pub reply: Count,
}

/// Packets and the bytes of them, network headers included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What address translation made of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The destination was translated: it came to a floating address. The source may be translated too.
    Float,
    /// Only the source was translated.
    Nat,
    /// Nothing was translated.
    Direct,
}

impl Action {
    /// The word for it in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Nat => "nat",
            Self::Direct => "direct",
        }
    }

    /// By the bits of [`status`], as `ct status dnat` does: what they say stays true for the connection's life.
    pub fn of(status: u32) -> Self {
        if status & status::DST_NAT != 0 {
            Self::Float
        } else if status & status::SRC_NAT != 0 {
            Self::Nat
        } else {
            Self::Direct
        }
    }
}

/// Which connections of one namespace are put on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    protocols: Vec<u8>,
    scope: NetworksScope,
    /// Sorted and disjoint; empty for no limit.
    networks: Vec<IpNet>,
}

impl Limits {
    /// What a configuration says about a namespace.
    pub fn new(config: &Config, netns: &NetnsName) -> Self {
        let networks = config.networks.get(netns.as_str()).map_or(&[][..], Vec::as_slice);
        Self {
            protocols: config.protocol_numbers(),
            scope: config.networks_scope,
            networks: IpNet::aggregate(&networks.to_vec()),
        }
    }

    /// What a connection is put on record as; `None` if it is not.
    pub fn action(&self, flow: &Flow) -> Option<Action> {
        if !self.protocols.contains(&flow.original.protocol) {
            return None;
        }
        let action = Action::of(flow.status);
        let within = match (action, self.scope) {
            (Action::Float, NetworksScope::Outgoing) => true,
            // The instance's own address: where the answers come from.
            (Action::Float, NetworksScope::Both) => self.holds(flow.reply.source.ip()),
            (Action::Nat | Action::Direct, _) => self.holds(flow.original.source.ip()),
        };
        within.then_some(action)
    }

    /// By bisection: a router may have hundreds of networks, and this is asked for every connection.
    fn holds(&self, address: IpAddr) -> bool {
        let after = self.networks.partition_point(|network| network.network() <= address);
        let before = after.checked_sub(1).and_then(|at| self.networks.get(at));
        self.networks.is_empty() || before.is_some_and(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests;
