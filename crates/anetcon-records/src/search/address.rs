//! `ADDR[:PORT]` as people write it: `203.0.113.7`, `203.0.113.7:41022`, `2001:db8::7`, `[2001:db8::7]:41022`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use super::refused::Refused;

const BRACKETS: &str = "with a port, an IPv6 address is written in brackets: [2001:db8::7]:41022";
const EXAMPLES: &str = "for example 203.0.113.7:41022 or [2001:db8::7]:41022";

/// An address that was asked for, perhaps with its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The address; one that maps IPv4 into IPv6 is taken for what it maps.
    pub address: IpAddr,
    /// The port, 1 to 65535.
    pub port: Option<u16>,
}

impl Asked {
    /// Reads one.
    ///
    /// # Errors
    /// [`Refused`], with the octet, group or port that is wrong.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        if text.is_empty() {
            return Err(Refused::whole(text, "an address is missing").help(EXAMPLES));
        }
        let (host, port) = split(text)?;
        let address = address(text, host)?.to_canonical();
        let port = port.map(|range| self::port(text, range)).transpose()?;
        Ok(Self { address, port })
    }

    /// Whether this is the address, and the port if one was asked for.
    pub fn is(self, address: IpAddr, port: Option<u16>) -> bool {
        self.address == address && (self.port.is_none() || self.port == port)
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        endpoint(self.address, self.port).fmt(f)
    }
}

/// An address with its port, if it has one, as it is read back: IPv6 in brackets.
pub fn endpoint(address: IpAddr, port: Option<u16>) -> String {
    match (address, port) {
        (IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
        (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
        (IpAddr::V4(address), None) => address.to_string(),
        (IpAddr::V6(address), None) => format!("[{address}]"),
    }
}

type Split = (Range<usize>, Option<Range<usize>>);

/// Where address and port are.
fn split(text: &str) -> Result<Split, Refused> {
    if text.starts_with('[') {
        let Some(close) = text.find(']') else {
            let missing = text.len()..text.len();
            return Err(Refused::new(text, missing, "the bracket is not closed").help(BRACKETS));
        };
        let rest = text.get(close + 1..).unwrap_or_default();
        return match rest.strip_prefix(':') {
            Some(_) => Ok((1..close, Some(close + 2..text.len()))),
            None if rest.is_empty() => Ok((1..close, None)),
            None => {
                let part = close + 1..text.len();
                Err(Refused::new(text, part, "only a port may follow the bracket").help(BRACKETS))
            }
        };
    }
    match (text.find(':'), text.rfind(':')) {
        (Some(first), Some(last)) if first == last => Ok((0..first, Some(last + 1..text.len()))),
        _ => Ok((0..text.len(), None)),
    }
}

fn address(text: &str, range: Range<usize>) -> Result<IpAddr, Refused> {
    let host = text.get(range.clone()).unwrap_or_default();
    if let Ok(address) = host.parse() {
        return match (address, text.starts_with('[')) {
            (IpAddr::V4(_), true) => {
                Err(Refused::new(text, range, "only an IPv6 address stands in brackets"))
            }
            (address, _) => Ok(address),
        };
    }
    let shift = |part: Range<usize>| range.start + part.start..range.start + part.end;
    let refused = if host.is_empty() {
        Refused::new(text, range, "the address is missing").help(EXAMPLES)
    } else if let Some(zone) = host.find('%') {
        let message = "an address on record has no zone";
        Refused::new(text, shift(zone..host.len()), message)
    } else if host.contains(':') {
        let (part, message) = bad_group(host);
        Refused::new(text, shift(part), message).help(BRACKETS)
    } else if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        let (part, message) = bad_octet(host);
        Refused::new(text, shift(part), message)
    } else {
        Refused::new(text, range, "this is no IP address; names are not looked up").help(EXAMPLES)
    };
    Err(refused)
}

/// The first part that cannot be an octet, or the whole if it is their number.
fn bad_octet(host: &str) -> (Range<usize>, &'static str) {
    for part in parts(host, '.') {
        let octet = host.get(part.clone()).unwrap_or_default();
        if octet.parse::<u8>().is_err() {
            return (part, "an octet is 0 to 255");
        }
        if octet.len() > 1 && octet.starts_with('0') {
            return (part, "an octet has no leading zero: it could be meant as octal");
        }
    }
    (0..host.len(), "an IPv4 address has four octets")
}

/// The first part that cannot be a group, or the whole if it is their number.
fn bad_group(host: &str) -> (Range<usize>, &'static str) {
    for part in parts(host, ':') {
        let group = host.get(part.clone()).unwrap_or_default();
        let tail = part.end == host.len() && group.parse::<Ipv4Addr>().is_ok();
        let hex = group.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !tail && !hex {
            return (part, "a group is hexadecimal");
        }
        if !tail && group.len() > 4 {
            return (part, "a group has at most four digits");
        }
    }
    (0..host.len(), "an IPv6 address has eight groups, or fewer with one `::`")
}

fn parts(text: &str, separator: char) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    text.split(separator).map(move |part| {
        let range = start..start + part.len();
        start = range.end + separator.len_utf8();
        range
    })
}

fn port(text: &str, range: Range<usize>) -> Result<u16, Refused> {
    let digits = text.get(range.clone()).unwrap_or_default();
    let number = digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(port) if port > 0 && number => Ok(port),
        _ if digits.is_empty() => Err(Refused::new(text, range, "the port is missing")),
        _ => Err(Refused::new(text, range, "a port is a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_back() {
        let cases = [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:41022", "203.0.113.7:41022"),
            ("2001:DB8::7", "[2001:db8::7]"),
            ("[2001:db8:0:0::7]", "[2001:db8::7]"),
            ("[2001:db8::7]:65535", "[2001:db8::7]:65535"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:1", "203.0.113.7:1"),
            ("::", "[::]"),
        ];
        for (text, shown) in cases {
            assert_eq!(
                Asked::parse(text).map(|asked| asked.to_string()),
                Ok(shown.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn the_wrong_part_is_marked() {
        let cases = [
            ("", "", "missing"),
            ("203.0.113.700:1", "700", "octet"),
            ("203.0.113.07", "07", "octal"),
            ("203.0.113", "203.0.113", "four"),
            ("203.0.113.7:", "", "port is missing"),
            ("203.0.113.7:0", "0", "1 to 65535"),
            ("203.0.113.7:65536", "65536", "1 to 65535"),
            ("203.0.113.7:+1", "+1", "1 to 65535"),
            ("203.0.113.7:ssh", "ssh", "1 to 65535"),
            (":22", "", "address is missing"),
            ("router.example", "router.example", "no IP address"),
            ("2001:db8::7g", "7g", "hexadecimal"),
            ("2001:db8::12345", "12345", "four digits"),
            ("1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8:9", "eight"),
            ("[2001:db8::7", "", "not closed"),
            ("[2001:db8::7]22", "22", "bracket"),
            ("[2001:db8::7]:99999", "99999", "1 to 65535"),
            ("[203.0.113.7]:22", "203.0.113.7", "brackets"),
            ("fe80::1%eth0", "%eth0", "zone"),
            ("é1:22", "é1", "no IP address"),
        ];
        for (text, part, message) in cases {
            let refused = Asked::parse(text).expect_err(text);
            assert_eq!(&text[refused.part.clone()], part, "{refused:?}");
            assert!(refused.message.contains(message), "{refused:?}");
        }
    }
}
