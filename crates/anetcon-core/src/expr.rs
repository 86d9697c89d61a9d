//! One nf_tables expression as the kernel holds it: the machine words of a rule.
//!
//! These are the netlink-level expressions (`nft --debug=netlink` shows them), not nft's syntax, so that
//! what we want and what a dump says can be compared word for word. A word we do not know is kept as
//! [`Expr::Other`]: it always differs from anything we want.

/// A register of the nf_tables virtual machine. We use `NFT_REG_1` (1) only; a dump may name others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Register(pub u32);

/// `NFT_REG_1`, the first 16-byte register (linux/netfilter/nf_tables.h).
pub const REG_1: Register = Register(1);

/// An expression of a rule. Numbers are those of linux/netfilter/nf_tables.h, in host byte order;
/// `Vec<u8>` data is in the byte order in which the register holds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant's sentence says what its fields hold")]
pub enum Expr {
    /// `meta`: load packet meta data (`NFT_META_*`).
    Meta { key: u32, dreg: Register },
    /// `ct`: load connection tracking state (`NFT_CT_*`), without a direction.
    Ct { key: u32, dreg: Register },
    /// `payload`: load bytes of the packet (`NFT_PAYLOAD_*` base, offset and length in bytes).
    Payload { base: u32, offset: u32, len: u32, dreg: Register },
    /// `bitwise`: `dreg = (sreg & mask) ^ xor` (`NFT_BITWISE_MASK_XOR`, before 6.12 `_BOOL`).
    Bitwise { sreg: Register, dreg: Register, len: u32, mask: Vec<u8>, xor: Vec<u8> },
    /// `cmp`: go on with the rule if the comparison (`NFT_CMP_*`) holds.
    Cmp { op: u32, sreg: Register, data: Vec<u8> },
    /// `lookup`: go on if the register is (or with `inverted` is not) in the named set.
    Lookup { set: String, sreg: Register, inverted: bool },
    /// `counter`: count packets and bytes. The values are not part of the expression:
    /// see [`RuleCounter`](crate::observed::RuleCounter).
    Counter,
    /// `log` to the kernel log: prefix and level (`NFT_LOGLEVEL_*`, 4 = warning).
    Log { prefix: String, level: u32, flags: u32 },
    /// Anything else: the expression's name and its attributes as dumped.
    Other { name: String, data: Vec<u8> },
}

/// Values of linux/netfilter/nf_tables.h and linux/netfilter/nf_conntrack_common.h that our rules use.
pub mod kernel {
    /// `NFT_META_NFPROTO`: the family of the packet, for inet tables.
    pub const META_NFPROTO: u32 = 15;
    /// `NFT_META_L4PROTO`: the transport protocol.
    pub const META_L4PROTO: u32 = 16;
    /// `NFT_CT_STATE`.
    pub const CT_STATE: u32 = 0;
    /// `NFT_CT_STATUS`.
    pub const CT_STATUS: u32 = 2;
    /// `NF_CT_STATE_BIT(IP_CT_NEW)`, as nft writes `ct state new`.
    pub const CT_STATE_NEW: u32 = 8;
    /// `IPS_DST_NAT`: the destination was translated.
    pub const CT_STATUS_DST_NAT: u32 = 1 << 5;
    /// `NFT_PAYLOAD_NETWORK_HEADER`.
    pub const PAYLOAD_NETWORK: u32 = 1;
    /// `NFT_CMP_EQ`.
    pub const CMP_EQ: u32 = 0;
    /// `NFT_CMP_NEQ`.
    pub const CMP_NEQ: u32 = 1;
    /// `NFPROTO_INET` (1): the family of our table.
    pub const NFPROTO_INET: u8 = 1;
    /// `NFPROTO_IPV4`.
    pub const NFPROTO_IPV4: u8 = 2;
    /// `NFPROTO_IPV6`.
    pub const NFPROTO_IPV6: u8 = 10;
    /// `NF_INET_POST_ROUTING`.
    pub const HOOK_POSTROUTING: u32 = 4;
    /// `NF_ACCEPT`.
    pub const POLICY_ACCEPT: u32 = 1;
    /// `NFT_TABLE_F_DORMANT`: the table's chains are not registered and see no packet.
    pub const TABLE_DORMANT: u32 = 1;
    /// `NFT_TABLE_F_OWNER` (5.12): only the owning socket may change the table.
    pub const TABLE_OWNER: u32 = 2;
    /// `NFT_TABLE_F_PERSIST`, kernel 6.9.
    pub const TABLE_PERSIST: u32 = 4;
    /// `NFT_SET_INTERVAL`.
    pub const SET_INTERVAL: u32 = 4;
    /// nft's data type numbers, written in `NFTA_SET_KEY_TYPE` so that nft can print elements.
    pub const TYPE_IPADDR: u32 = 7;
    /// As above, for IPv6 addresses.
    pub const TYPE_IP6ADDR: u32 = 8;
    /// As above, for transport protocols (`inet_proto`).
    pub const TYPE_INET_PROTOCOL: u32 = 12;
}
