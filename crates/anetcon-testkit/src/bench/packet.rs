//! TCP SYNs as bytes: the first packet of a connection that nobody answers. Pure.

use std::net::Ipv4Addr;

/// Length of an IPv4 header and a TCP header, both without options.
pub(super) const LENGTH: usize = 40;

/// Source ports of one destination before the next destination is used. No two connections share a source port and a
/// destination, so translation never has to look for another port.
const PORTS: u64 = 60_000;
const FIRST_PORT: u16 = 1024;
const DESTINATION_PORT: u16 = 443;

/// The first connection of a tuple that was used before.
pub(super) const DISTINCT: u64 = PORTS * 250;

/// A SYN, ready for a raw socket, and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syn {
    pub(super) bytes: [u8; LENGTH],
    pub(super) destination: Ipv4Addr,
}

/// The first packet of the connection with this number: from one of 200 addresses of the instances' subnet
/// (`10.7.0.0/24`) to one of 250 addresses of 192.0.2.0/24 (RFC 5737).
pub(super) fn syn(number: u64) -> Syn {
    let small = |value: u64| u8::try_from(value).unwrap_or_default();
    let source = Ipv4Addr::new(10, 7, 0, small(20 + number % 200));
    let destination = Ipv4Addr::new(192, 0, 2, small(1 + number / PORTS % 250));
    let port = FIRST_PORT + u16::try_from(number % PORTS).unwrap_or_default();
    Syn { bytes: bytes(source, port, destination), destination }
}

/// The kernel fills in the IPv4 header's length, id and checksum (raw(7)); the TCP checksum is ours, and conntrack
/// checks it.
fn bytes(source: Ipv4Addr, port: u16, destination: Ipv4Addr) -> [u8; LENGTH] {
    const PROTOCOL_TCP: u8 = 6;
    let mut packet = [0; LENGTH];
    {
        let (ip, tcp) = packet.split_at_mut(20);
        let [from, to] = [source.octets(), destination.octets()];
        // Version 4 and 5 words of header; time to live; addresses.
        put(ip, 0, &[0x45]);
        put(ip, 8, &[64, PROTOCOL_TCP]);
        put(ip, 12, &from);
        put(ip, 16, &to);
        put(tcp, 0, &port.to_be_bytes());
        put(tcp, 2, &DESTINATION_PORT.to_be_bytes());
        // Sequence number, 5 words of header, SYN, window.
        put(tcp, 4, &0x1234_5678_u32.to_be_bytes());
        put(tcp, 12, &[0x50, 0x02]);
        put(tcp, 14, &u16::MAX.to_be_bytes());
        let pseudo = [from.as_slice(), &to, &[0, PROTOCOL_TCP, 0, 20]].concat();
        let sum = checksum(&[pseudo.as_slice(), tcp].concat());
        put(tcp, 16, &sum.to_be_bytes());
    }
    packet
}

fn put(target: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = target.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// The ones' complement of the ones' complement sum of 16-bit words (RFC 1071); an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let (words, _) = bytes.as_chunks::<2>();
    let mut sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_sum_over_a_whole_packet_is_zero() {
        for number in [0, 1, 59_999, 60_000, DISTINCT - 1] {
            let Syn { bytes, .. } = syn(number);
            let pseudo = [&bytes[12..20], &[0, 6, 0, 20], &bytes[20..]].concat();
            assert_eq!(checksum(&pseudo), 0, "{number}");
        }
    }

    /// The worked example of RFC 1071, section 3.
    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn headers_say_what_they_should() {
        let Syn { bytes, destination } = syn(60_001);
        assert_eq!(bytes[0], 0x45);
        assert_eq!(bytes[9], 6);
        assert_eq!(bytes[12..16], [10, 7, 0, 21]);
        assert_eq!(bytes[16..20], destination.octets());
        assert_eq!(destination, Ipv4Addr::new(192, 0, 2, 2));
        assert_eq!(bytes[20..24], [0x04, 0x01, 0x01, 0xbb]);
        assert_eq!(bytes[33], 2, "only SYN is set");
    }

    #[test]
    fn no_two_share_source_port_and_destination() {
        let count = 200_000;
        let distinct: HashSet<_> = (0..count)
            .map(syn)
            .map(|syn| (syn.destination, [syn.bytes[20], syn.bytes[21]]))
            .collect();
        assert_eq!(distinct.len() as u64, count);
    }
}
