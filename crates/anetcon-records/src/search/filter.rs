//! Which lines deserve to be parsed: a search in raw bytes, many times faster than JSON.

use std::net::IpAddr;

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};

use super::address::Asked;

/// Looks for lines that may hold an address.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    needles: Vec<Needle>,
}

#[derive(Debug, Clone)]
struct Needle {
    finder: Finder<'static>,
    /// The port that must follow if any port follows.
    port: Option<u16>,
}

impl Filter {
    /// For session records. Addresses are strings in JSON; a port stands right behind its address, unless somebody wrote the
    /// record anew.
    pub(crate) fn sessions(asked: Asked) -> Self {
        let quoted = format!("\"{}\"", asked.address);
        Self { needles: vec![Needle::new(&quoted, asked.port)] }
    }

    /// For lines of the kernel log: the address as either end, and ports that address translation would have kept.
    pub(crate) fn kernel(asked: Asked) -> Self {
        let address = kernel_address(asked.address);
        let mut texts = vec![format!("SRC={address} "), format!("DST={address} ")];
        texts.extend(asked.port.map(|port| format!(" SPT={port} ")));
        texts.extend(asked.port.map(|port| format!(" DPT={port} ")));
        Self { needles: texts.iter().map(|text| Needle::new(text, None)).collect() }
    }

    /// Hands over each line of a block that passes, without its newline, and where it begins in the block; the lines come in
    /// no order if there are several needles, and may come twice.
    pub(crate) fn each<'a>(&self, block: &'a [u8], mut take: impl FnMut(usize, &'a [u8])) {
        for needle in &self.needles {
            let mut from = 0;
            while let Some(at) = needle.find(block, from) {
                let start = memrchr(b'\n', block.get(..at).unwrap_or_default());
                let start = start.map_or(0, |newline| newline + 1);
                let rest = block.get(at..).unwrap_or_default();
                let end = memchr(b'\n', rest).map_or(block.len(), |length| at + length);
                take(start, block.get(start..end).unwrap_or_default());
                from = end + 1;
            }
        }
    }
}

impl Needle {
    fn new(text: &str, port: Option<u16>) -> Self {
        Self { finder: Finder::new(text.as_bytes()).into_owned(), port }
    }

    fn find(&self, block: &[u8], mut from: usize) -> Option<usize> {
        loop {
            let at = from + self.finder.find(block.get(from..)?)?;
            let after = at + self.finder.needle().len();
            if self.port.is_none_or(|port| may_follow(port, block.get(after..).unwrap_or_default()))
            {
                return Some(at);
            }
            from = after;
        }
    }
}

/// Whether this can be the port behind an address. `true` also if something else follows: the parser will tell.
fn may_follow(port: u16, rest: &[u8]) -> bool {
    let Some(rest) = after(rest, b",") else { return true };
    let Some(rest) = after(rest, b"\"port\"") else { return true };
    let Some(rest) = after(rest, b":") else { return true };
    let digits = rest.trim_ascii_start();
    let mut number = 0_u32;
    for &digit in digits.iter().take(6).take_while(|byte| byte.is_ascii_digit()) {
        number = number * 10 + u32::from(digit - b'0');
    }
    number == u32::from(port)
}

fn after<'a>(text: &'a [u8], token: &[u8]) -> Option<&'a [u8]> {
    text.trim_ascii_start().strip_prefix(token)
}

/// The kernel prints all digits of an IPv6 address (`%pI6`).
pub(crate) fn kernel_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|group| format!("{group:04x}")).join(":"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(asked: &str, block: &str) -> Vec<String> {
        let mut lines = Vec::new();
        Filter::sessions(Asked::parse(asked).unwrap()).each(block.as_bytes(), |start, line| {
            assert!(start == 0 || block.as_bytes()[start - 1] == b'\n');
            lines.push(String::from_utf8_lossy(line).into_owned());
        });
        lines
    }

    #[test]
    fn lines_pass_by_address_and_port() {
        let block = "\
            {\"ip\":\"10.0.0.1\",\"port\":22}\n\
            {\"ip\":\"10.0.0.1\",\"port\":2222}\n\
            {\"ip\":\"10.0.0.1\",\"port\":2222},{\"ip\":\"10.0.0.1\",\"port\":22}\n\
            {\"ip\":\"110.0.0.1\",\"port\":22}\n\
            {\"ip\": \"10.0.0.1\", \"port\" : 22 }\n\
            {\"port\":22,\"ip\":\"10.0.0.1\"}\n\
            {\"ip\":\"10.0.0.10\",\"port\":22}";
        let lines: Vec<&str> = block.lines().collect();
        assert_eq!(passing("10.0.0.1:22", block), [lines[0], lines[2], lines[4], lines[5]]);
        assert_eq!(passing("10.0.0.1", block).len(), 5);
        assert_eq!(passing("10.0.0.10:22", block), [lines[6]], "the last line has no newline");
        assert_eq!(passing("10.0.0.2", block), [""; 0]);
    }

    #[test]
    fn the_kernel_writes_every_digit() {
        let address = "2001:db8::7".parse().unwrap();
        assert_eq!(kernel_address(address), "2001:0db8:0000:0000:0000:0000:0000:0007");
    }
}
