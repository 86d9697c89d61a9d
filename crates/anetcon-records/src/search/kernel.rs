//! Lines of the kernel log as a source of answers where there is no session record.
//!
//! They show one tuple. A line of the float file has the instance's address as its destination, the floating address is gone; a
//! line of the nat file has the instance's address as its source, the translated source is not yet known. So an outside
//! address is found only through its port, which address translation keeps unless it is taken, or not at all.

use std::net::IpAddr;

use anetcon_core::hashfile::HashFile;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::address::Asked;
use super::files::{Content, kernel_time};
use super::query::{Fit, Query, Role};
use crate::session::SessionRecord;
use crate::session::record::{Endpoint, Micros};

/// A line and a record of one connection are never farther apart; ports do not come again so soon.
const TOGETHER: SignedDuration = SignedDuration::from_secs(5);

/// What a line tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelLine {
    /// When it was logged.
    pub time: Timestamp,
    /// The file it stands in.
    pub content: Content,
    /// What stands in the last brackets of the prefix: a hash or a name.
    pub tag: Option<String>,
    /// The namespace, if the tag names it or the hash file does.
    pub namespace: Option<String>,
    /// `tcp`, `udp`, ...
    pub transport: String,
    /// `SRC` and `SPT`.
    pub source: (IpAddr, Option<u16>),
    /// `DST` and `DPT`.
    pub destination: (IpAddr, Option<u16>),
}

impl KernelLine {
    /// Reads a line. `None` for any other text.
    pub fn parse(line: &[u8], content: Content, hashes: &HashFile) -> Option<Self> {
        let time = kernel_time(line)?;
        let text = std::str::from_utf8(line).ok()?;
        let (head, fields) = text.split_once(" IN=")?;
        let field = |name: &str| {
            let mut words = fields.split(' ');
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let port = |name: &str| field(name).and_then(|port| port.parse().ok());
        let tag = tag(head);
        let namespace = tag.as_deref().and_then(|tag| named(tag, hashes));
        Some(Self {
            time,
            content,
            tag,
            namespace,
            transport: transport(field("PROTO")?),
            source: (field("SRC")?.parse().ok()?, port("SPT")),
            destination: (field("DST")?.parse().ok()?, port("DPT")),
        })
    }

    /// How well it fits; `None` if it does not.
    pub fn fit(&self, query: &Query) -> Option<Fit> {
        let transport = query.transport.as_deref();
        let namespace = self.namespace.as_deref().or(self.tag.as_deref()).unwrap_or_default();
        let wanted = query.span.holds(self.time)
            && transport.is_none_or(|transport| transport == self.transport)
            && query.namespace.as_ref().is_none_or(|pattern| pattern.is_match(namespace));
        let role = self.role(query).filter(|_| wanted)?;
        let apart = query.span.at.map(|at| self.time.duration_since(at));
        Some(Fit { role, peer_unknown: false, apart, time: self.time })
    }

    /// Whether it tells of the connection of this record: the line shows the destination after its translation and the
    /// source before, and is written within milliseconds of the event.
    pub(crate) fn is_of(&self, record: &SessionRecord<'_>) -> bool {
        let before = |end: &Endpoint| (end.ip, end.port);
        let after = |end: &Endpoint| {
            end.nat.map_or(before(end), |translated| (Some(translated.ip), translated.port))
        };
        let is = |(ip, port): (IpAddr, Option<u16>), end| (Some(ip), port) == end;
        // An end that was left out of the record (`records.destination = false`) contradicts nothing.
        record.source.as_ref().is_none_or(|end| is(self.source, before(end)))
            && record.destination.as_ref().is_none_or(|end| is(self.destination, after(end)))
            && self.time.duration_since(record.timestamp.0).abs() < TOGETHER
    }

    /// What it tells under the names that session records have, with the line itself.
    pub(crate) fn to_json(&self, line: &str, rank: u64) -> Value {
        let end = |(ip, port): (IpAddr, Option<u16>)| match port {
            Some(port) => json!({"ip": ip, "port": port}),
            None => json!({"ip": ip}),
        };
        let kind = match self.content {
            Content::KernelFloat => "float",
            Content::KernelNat | Content::Sessions => "nat",
        };
        let mut anetcon = json!({"rank": rank});
        for (key, value) in [("namespace", &self.namespace), ("tag", &self.tag)] {
            if let (Some(value), Some(fields)) = (value, anetcon.as_object_mut()) {
                fields.insert(key.into(), value.as_str().into());
            }
        }
        json!({
            "@timestamp": Micros(self.time),
            "event": {"provider": "kernel", "action": kind},
            "network": {"transport": self.transport},
            "source": end(self.source),
            "destination": end(self.destination),
            "anetcon": anetcon,
            "message": line,
        })
    }

    fn role(&self, query: &Query) -> Option<Role> {
        let is = |asked: Asked, end: (IpAddr, Option<u16>)| asked.is(end.0, end.1);
        let peer = |end| query.peer.is_none_or(|peer| is(peer, end));
        if is(query.asked, self.source) && peer(self.destination) {
            return Some(Role::KernelLine);
        }
        if is(query.asked, self.destination) && peer(self.source) {
            return Some(Role::KernelLine);
        }
        // One port of 65,535 says little unless something else is known: the time or the other end.
        let hint = query.span.at.is_some() || query.peer.is_some();
        let port = query.asked.port.filter(|_| hint)?;
        let same_family = query.asked.address.is_ipv4() == self.source.0.is_ipv4();
        let kept = match self.content {
            Content::KernelNat => self.source.1 == Some(port) && peer(self.destination),
            // Services share their ports, so the port alone says nothing.
            Content::KernelFloat => {
                query.peer.is_some() && self.destination.1 == Some(port) && peer(self.source)
            }
            Content::Sessions => false,
        };
        (kept && same_family).then_some(Role::KernelPort)
    }
}

/// The kernel's name of a protocol as records have it.
fn transport(name: &str) -> String {
    match name {
        "ICMPv6" => "ipv6-icmp".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

/// The last of `[ANETCON][D][1a2b3c4d]`; a prefix without a namespace has none.
fn tag(head: &str) -> Option<String> {
    let (_, inner) = head.trim_end().strip_suffix(']')?.rsplit_once('[')?;
    let mark = inner.len() <= 1 || inner.contains(' ');
    (!mark).then(|| inner.to_owned())
}

fn named(tag: &str, hashes: &HashFile) -> Option<String> {
    let hash = tag.len() == 8 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hash {
        return Some(tag.to_owned());
    }
    let names: Vec<&str> = hashes
        .entries()
        .filter(|entry| entry.hash == tag)
        .map(|entry| entry.name.as_str())
        .collect();
    (!names.is_empty()).then(|| names.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_either_writer_is_read() {
        let hashes = HashFile::parse(b"d48368ae qrouter-1\n");
        for uptime in ["", "[ 1399.447843] "] {
            let line = format!(
                "2026-11-23T16:15:10.411671+00:00 vm kernel: {uptime}[ANETCON][X][d48368ae] IN= OUT=qg-1 \
                 SRC=10.7.0.5 DST=198.51.100.9 LEN=60 TTL=63 PROTO=TCP SPT=41022 DPT=443 WINDOW=1 "
            );
            let read = KernelLine::parse(line.as_bytes(), Content::KernelNat, &hashes).unwrap();
            assert_eq!(read.namespace.as_deref(), Some("qrouter-1"));
            assert_eq!(read.source, ("10.7.0.5".parse().unwrap(), Some(41022)));
            assert_eq!(read.destination, ("198.51.100.9".parse().unwrap(), Some(443)));
            assert_eq!(read.transport, "tcp");
        }
        for other in ["", "torn", "2026-11-23T16:15:10Z vm kernel: eth0: link up"] {
            assert_eq!(KernelLine::parse(other.as_bytes(), Content::KernelNat, &hashes), None);
        }
    }

    #[test]
    fn tags_are_hashes_names_or_nothing() {
        let cases = [
            ("x kernel: [A][D][1a2b3c4d]", Some("1a2b3c4d")),
            ("x kernel: [A][D][qrouter-1]", Some("qrouter-1")),
            ("x kernel: [ANETCON][D]", None),
            ("x kernel: [ 12.000000] plain", None),
        ];
        for (head, expected) in cases {
            assert_eq!(tag(head).as_deref(), expected, "{head}");
        }
    }
}
