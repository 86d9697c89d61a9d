//! Expressions back into nft's syntax.
//!
//! Each reader looks at the start of the expressions that are left and takes the ones it can say in nft's
//! words. What none of them takes is printed in square brackets with all that is in it, never left out.

use super::verdict;
use crate::expr::{Expr, REG_1, kernel};

/// Takes some expressions off the start and says them; `None`: not mine.
type Reader = fn(&[Expr]) -> Option<(usize, String)>;

const READERS: [Reader; 7] =
    [address, nfproto, l4proto, ct_bits, counter, log_statement, verdict_statement];

/// The statements of a rule, in order.
pub(super) fn statements(mut exprs: &[Expr]) -> Vec<String> {
    let mut statements = Vec::new();
    while let Some(first) = exprs.first() {
        let read = READERS.iter().find_map(|read| read(exprs));
        let (taken, text) = read.unwrap_or_else(|| (1, bracketed(first)));
        statements.push(text);
        exprs = exprs.get(taken..).unwrap_or_default();
    }
    statements
}

/// `ip saddr @networks4`. nft leaves the test of the family out: `ip` says it.
fn address(exprs: &[Expr]) -> Option<(usize, String)> {
    let [Expr::Meta { key, dreg: REG_1 }, family, load, test, ..] = exprs else { return None };
    let Expr::Cmp { op: kernel::CMP_EQ, sreg: REG_1, data: nfproto } = family else { return None };
    let Expr::Payload { base: kernel::PAYLOAD_NETWORK, offset, len, dreg: REG_1 } = load else {
        return None;
    };
    let (field, key_type) = match (nfproto.as_slice(), offset, len) {
        ([kernel::NFPROTO_IPV4], 12, 4) => ("ip saddr", kernel::TYPE_IPADDR),
        ([kernel::NFPROTO_IPV4], 16, 4) => ("ip daddr", kernel::TYPE_IPADDR),
        ([kernel::NFPROTO_IPV6], 8, 16) => ("ip6 saddr", kernel::TYPE_IP6ADDR),
        ([kernel::NFPROTO_IPV6], 24, 16) => ("ip6 daddr", kernel::TYPE_IP6ADDR),
        _ => return None,
    };
    let whole = |data: &[u8]| {
        (data.len() == usize::try_from(*len).ok()?).then(|| super::elements::key(key_type, data))
    };
    let test = comparison(test, whole)?;
    (*key == kernel::META_NFPROTO).then(|| (4, format!("{field} {test}")))
}

/// `meta nfproto ipv4`.
fn nfproto(exprs: &[Expr]) -> Option<(usize, String)> {
    meta(exprs, kernel::META_NFPROTO, "nfproto", |data| match data {
        [kernel::NFPROTO_IPV4] => Some("ipv4".to_owned()),
        [kernel::NFPROTO_IPV6] => Some("ipv6".to_owned()),
        _ => None,
    })
}

/// `meta l4proto tcp`.
fn l4proto(exprs: &[Expr]) -> Option<(usize, String)> {
    meta(exprs, kernel::META_L4PROTO, "l4proto", |data| match data {
        [number] => Some(protocol_name(*number)),
        _ => None,
    })
}

fn meta(
    exprs: &[Expr],
    wanted: u32,
    field: &str,
    value: impl Fn(&[u8]) -> Option<String>,
) -> Option<(usize, String)> {
    let [Expr::Meta { key, dreg: REG_1 }, test, ..] = exprs else { return None };
    let test = comparison(test, value)?;
    (*key == wanted).then(|| (2, format!("meta {field} {test}")))
}

/// `tcp`, `!= tcp`, `@protocols`, `!= @protocols`.
fn comparison(test: &Expr, value: impl Fn(&[u8]) -> Option<String>) -> Option<String> {
    match test {
        Expr::Cmp { op: kernel::CMP_EQ, sreg: REG_1, data } => value(data),
        Expr::Cmp { op: kernel::CMP_NEQ, sreg: REG_1, data } => {
            Some(format!("!= {}", value(data)?))
        }
        Expr::Lookup { set, sreg: REG_1, inverted: false } => Some(format!("@{}", name(set))),
        Expr::Lookup { set, sreg: REG_1, inverted: true } => Some(format!("!= @{}", name(set))),
        _ => None,
    }
}

/// Bits in the order in which nft prints them (`NF_CT_STATE_BIT`).
const CT_STATES: &[(u32, &str)] =
    &[(1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked")];

/// `IPS_*` of linux/netfilter/nf_conntrack_common.h, those that nft has a name for.
const CT_STATUSES: &[(u32, &str)] = &[
    (1, "expected"),
    (2, "seen-reply"),
    (4, "assured"),
    (8, "confirmed"),
    (16, "snat"),
    (32, "dnat"),
    (512, "dying"),
];

/// `ct state new`, `ct status dnat`, `ct status ! dnat`.
fn ct_bits(exprs: &[Expr]) -> Option<(usize, String)> {
    let [Expr::Ct { key, dreg: REG_1 }, bits, test, ..] = exprs else { return None };
    let Expr::Bitwise { sreg: REG_1, dreg: REG_1, len: 4, mask, xor } = bits else { return None };
    let Expr::Cmp { op, sreg: REG_1, data } = test else { return None };
    let not = match *op {
        kernel::CMP_NEQ => "",
        kernel::CMP_EQ => "! ",
        _ => return None,
    };
    let (field, names) = match *key {
        kernel::CT_STATE => ("state", CT_STATES),
        kernel::CT_STATUS => ("status", CT_STATUSES),
        _ => return None,
    };
    let mask = u32::from_ne_bytes(mask.as_slice().try_into().ok()?);
    let names = bit_names(mask, names)?;
    (xor == &[0; 4] && data == &[0; 4]).then(|| (3, format!("ct {field} {not}{names}")))
}

/// The names of all bits set; `None` if there is none or one has no name.
fn bit_names(bits: u32, names: &[(u32, &str)]) -> Option<String> {
    let (named, texts): (Vec<u32>, Vec<&str>) =
        names.iter().copied().filter(|(bit, _)| bits & bit != 0).unzip();
    let all = named.into_iter().fold(0, |sum, bit| sum | bit);
    (bits != 0 && all == bits).then(|| texts.join(","))
}

fn counter(exprs: &[Expr]) -> Option<(usize, String)> {
    matches!(exprs, [Expr::Counter, ..]).then(|| (1, "counter".to_owned()))
}

/// The words for `NFT_LOGLEVEL_*` 0 to 8. Level 4 is what the kernel takes where none is given: nft does not
/// print it.
const LOG_LEVELS: [&str; 9] = [
    " level emerg",
    " level alert",
    " level crit",
    " level err",
    "",
    " level notice",
    " level info",
    " level debug",
    " level audit",
];

/// `NF_LOG_*` of linux/netfilter/nf_log.h without the one that only NFLOG sets; all of them are `flags all`.
const LOG_FLAGS_ALL: u32 = 0x2f;

/// `log prefix "[ANETCON][D][c21f969b] " level info`.
fn log_statement(exprs: &[Expr]) -> Option<(usize, String)> {
    let [Expr::Log { prefix, level, flags }, ..] = exprs else { return None };
    let level = LOG_LEVELS.get(usize::try_from(*level).ok()?)?;
    let prefix = match prefix.as_str() {
        "" => String::new(),
        prefix => format!(" prefix {}", quoted(prefix)),
    };
    Some((1, format!("log{prefix}{level}{}", log_flags(*flags)?)))
}

fn log_flags(flags: u32) -> Option<String> {
    if flags == LOG_FLAGS_ALL {
        return Some(" flags all".to_owned());
    }
    let parts = [
        (1 | 2, 1, " flags tcp sequence"),
        (1 | 2, 2, " flags tcp options"),
        (1 | 2, 3, " flags tcp sequence,options"),
        (4, 4, " flags ip options"),
        (8, 8, " flags skuid"),
        (0x20, 0x20, " flags ether"),
    ];
    let texts: String =
        parts.iter().filter(|(mask, bits, _)| flags & mask == *bits).map(|part| part.2).collect();
    (flags & !LOG_FLAGS_ALL == 0).then_some(texts)
}

fn verdict_statement(exprs: &[Expr]) -> Option<(usize, String)> {
    let [Expr::Other { name, data }, ..] = exprs else { return None };
    let text = (name == "immediate").then(|| verdict::text(data)).flatten()?;
    Some((1, text))
}

/// An expression that has no words of nft's here: everything that is in it.
fn bracketed(expr: &Expr) -> String {
    match expr {
        Expr::Meta { key, dreg } => format!("[meta {key} => reg {}]", dreg.0),
        Expr::Ct { key, dreg } => format!("[ct {key} => reg {}]", dreg.0),
        Expr::Payload { base, offset, len, dreg } => {
            format!("[payload {len}b @ base {base} + {offset} => reg {}]", dreg.0)
        }
        Expr::Bitwise { sreg, dreg, len, mask, xor } => format!(
            "[bitwise reg {} = ( reg {} & {} ) ^ {}, {len}b]",
            dreg.0,
            sreg.0,
            hex(mask),
            hex(xor)
        ),
        Expr::Cmp { op, sreg, data } => format!("[cmp {op} reg {} {}]", sreg.0, hex(data)),
        Expr::Lookup { set, sreg, inverted } => {
            let not = if *inverted { "not " } else { "" };
            format!("[lookup reg {} {not}in {}]", sreg.0, quoted(set))
        }
        Expr::Counter => "[counter]".to_owned(),
        Expr::Log { prefix, level, flags } => {
            format!("[log {} level {level} flags {flags:#x}]", quoted(prefix))
        }
        Expr::Other { name, data } if data.is_empty() => format!("[{}]", self::name(name)),
        Expr::Other { name, data } => format!("[{} {}]", self::name(name), hex(data)),
    }
}

/// Protocols by the names that nft prints, as far as they carry connections here; others by number.
pub(super) fn protocol_name(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "ipv6-icmp".to_owned(),
        132 => "sctp".to_owned(),
        _ => number.to_string(),
    }
}

/// Bytes in the order in which they stand, `0x0a000000`.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// A name as nft writes it, or quoted where it could be taken for something else.
pub(crate) fn name(text: &str) -> String {
    let usual = |character: char| character.is_ascii_alphanumeric() || "_-./".contains(character);
    if !text.is_empty() && text.chars().all(usual) { text.to_owned() } else { quoted(text) }
}

/// In quotes. Whoever wrote a comment or prefix into our table does not get to write to a terminal: control
/// characters, quotes and backslashes are escaped.
pub(super) fn quoted(text: &str) -> String {
    let escape = |character: char| match character {
        '\'' => "'".to_owned(),
        other => other.escape_debug().to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}
