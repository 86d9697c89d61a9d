//! Verdicts (`accept`, `jump other`) of `immediate` expressions, which the core keeps as undecoded attributes.
//!
//! Nothing we write has one, but a bare `accept` before our rules is the shortest way to blind us and
//! must be shown as what it is.

use super::words::name;

/// `NFTA_IMMEDIATE_DREG`, `NFTA_IMMEDIATE_DATA`, `NFTA_DATA_VERDICT`, `NFTA_VERDICT_CODE`, `NFTA_VERDICT_CHAIN`
/// (linux/netfilter/nf_tables.h).
const DREG: u16 = 1;
const DATA: u16 = 2;
const DATA_VERDICT: u16 = 2;
const CODE: u16 = 1;
const CHAIN: u16 = 2;

/// `NLA_TYPE_MASK` (linux/netlink.h): the type without the nested and byte order flags.
const TYPE_MASK: u16 = 0x3fff;

/// The verdict of an `immediate` expression's attributes; `None` if they are anything but one verdict.
pub(super) fn text(data: &[u8]) -> Option<String> {
    let attributes = attributes(data)?;
    let [(DREG, [0, 0, 0, 0]), (DATA, value)] = attributes.as_slice() else { return None };
    let [(DATA_VERDICT, verdict)] = self::attributes(value)?[..] else { return None };
    match self::attributes(verdict)?[..] {
        [(CODE, code)] => plain(code).map(str::to_owned),
        [(CODE, code), (CHAIN, chain)] => {
            let chain = std::str::from_utf8(chain.strip_suffix(&[0])?).ok()?;
            Some(format!("{} {}", chained(code)?, name(chain)))
        }
        _ => None,
    }
}

/// `NF_DROP`, `NF_ACCEPT`, `NFT_CONTINUE`, `NFT_BREAK` and `NFT_RETURN`.
fn plain(code: &[u8]) -> Option<&'static str> {
    match i32::from_be_bytes(code.try_into().ok()?) {
        0 => Some("drop"),
        1 => Some("accept"),
        -1 => Some("continue"),
        -5 => Some("return"),
        _ => None,
    }
}

/// `NFT_JUMP` and `NFT_GOTO`.
fn chained(code: &[u8]) -> Option<&'static str> {
    match i32::from_be_bytes(code.try_into().ok()?) {
        -3 => Some("jump"),
        -4 => Some("goto"),
        _ => None,
    }
}

/// Netlink attributes: length (with its 4 bytes of header) and type in host order, padded to 4 bytes.
fn attributes(mut data: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut found = Vec::new();
    while !data.is_empty() {
        let length = usize::from(u16::from_ne_bytes(data.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(data.get(2..4)?.try_into().ok()?) & TYPE_MASK;
        found.push((kind, data.get(4..length)?));
        data = data.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One attribute, padded.
    fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 4).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn immediate(code: i32, chain: &[u8]) -> Vec<u8> {
        let mut verdict = attribute(CODE, &code.to_be_bytes());
        if !chain.is_empty() {
            verdict.extend(attribute(CHAIN, chain));
        }
        let value = attribute(DATA_VERDICT | 0x8000, &verdict);
        [attribute(DREG, &[0; 4]), attribute(DATA, &value)].concat()
    }

    #[test]
    fn verdicts_read_as_nft_writes_them() {
        let cases: [(i32, &[u8], Option<&str>); 7] = [
            (1, b"", Some("accept")),
            (0, b"", Some("drop")),
            (-5, b"", Some("return")),
            (-3, b"other\0", Some("jump other")),
            (-4, b"x\0", Some("goto x")),
            (-3, b"", None),
            (7, b"", None),
        ];
        for (code, chain, expected) in cases {
            assert_eq!(text(&immediate(code, chain)).as_deref(), expected, "{code}");
        }
    }

    #[test]
    fn cut_attributes_are_no_verdict() {
        let whole = immediate(-3, b"other\0");
        for length in 0..whole.len() - 2 {
            assert_eq!(text(&whole[..length]), None, "{length} bytes");
        }
    }
}
