//! The values that are chosen from a few words.

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
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Sctp, Self::Icmp];

    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
            Self::Icmp => "icmp",
        }
    }

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

    /// The word that nft uses: `emerg`, `alert`, `crit`, `err`, `warn`, `notice`, `info`, `debug`.
    pub fn as_nft(self) -> &'static str {
        match self {
            Self::Emergency => "emerg",
            Self::Alert => "alert",
            Self::Critical => "crit",
            Self::Error => "err",
            Self::Warning => "warn",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
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
