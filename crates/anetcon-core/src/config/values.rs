//! The values that are chosen from a few words.

use crate::prefix::NamespaceTag;
use crate::protect::Protect;

/// The words of `protocols`.
pub(super) const PROTOCOLS: [(&str, Protocol); 4] = [
    ("tcp", Protocol::Tcp),
    ("udp", Protocol::Udp),
    ("sctp", Protocol::Sctp),
    ("icmp", Protocol::Icmp),
];

/// The words of `networks_scope`.
pub(super) const SCOPES: [(&str, NetworksScope); 2] =
    [("both", NetworksScope::Both), ("outgoing", NetworksScope::Outgoing)];

/// The words of `rules.protect`.
pub(super) const PROTECTS: [(&str, Protect); 3] =
    [("auto", Protect::Auto), ("on", Protect::On), ("off", Protect::Off)];

/// The words of `log.namespace`.
pub(super) const TAGS: [(&str, NamespaceTag); 3] =
    [("hash", NamespaceTag::Hash), ("name", NamespaceTag::Name), ("none", NamespaceTag::None)];

/// The words of `log.level`: nft's, and the two long forms that people write.
pub(super) const LEVELS: [(&str, LogLevel); 10] = [
    ("emerg", LogLevel::Emergency),
    ("alert", LogLevel::Alert),
    ("crit", LogLevel::Critical),
    ("err", LogLevel::Error),
    ("error", LogLevel::Error),
    ("warning", LogLevel::Warning),
    ("warn", LogLevel::Warning),
    ("notice", LogLevel::Notice),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];

/// The words of `log.writer`.
pub(super) const WRITERS: [(&str, Writer); 2] =
    [("rsyslog", Writer::Rsyslog), ("agent", Writer::Agent)];

/// A transport protocol that can be audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP and ICMPv6.
    Icmp,
}

impl Protocol {
    /// The protocol numbers (`IPPROTO_*`, linux/in.h and linux/in6.h) that it stands for.
    pub fn numbers(self) -> &'static [u8] {
        match self {
            Self::Tcp => &[6],
            Self::Udp => &[17],
            Self::Sctp => &[132],
            Self::Icmp => &[1, 58],
        }
    }
}

/// Which kind of connection `networks` limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworksScope {
    /// Both: outgoing ones by source, floating ones by the instance's address.
    Both,
    /// Only outgoing ones, as the old script did; floating ones are all audited.
    Outgoing,
}

/// The level of a kernel log line (`NFT_LOGLEVEL_*`, the numbers of syslog).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// 0.
    Emergency,
    /// 1.
    Alert,
    /// 2.
    Critical,
    /// 3.
    Error,
    /// 4.
    Warning,
    /// 5.
    Notice,
    /// 6.
    Info,
    /// 7.
    Debug,
}

impl LogLevel {
    /// The number that the kernel and syslog use, 0 to 7.
    pub fn number(self) -> u32 {
        self as u32
    }
}

/// Who writes the two log files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// rsyslog, with the shipped configuration.
    Rsyslog,
    /// The agent, which reads `/dev/kmsg` itself.
    Agent,
}
