//! Set elements as text: what the kernel holds as range starts and ends reads as networks and ranges.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::words::{hex, protocol_name};
use crate::expr::kernel;
use crate::table::{Element, Set};

/// Every range or element of a set, in order of its key.
pub(crate) fn items(set: &Set) -> Vec<String> {
    if set.flags & kernel::SET_INTERVAL == 0 {
        return set.elements.iter().map(|element| lone(set, element)).collect();
    }
    let mut sorted: Vec<&Element> = set.elements.iter().collect();
    // Where two networks touch, the end of the first has the key of the second's start and closes first.
    sorted.sort_by_key(|element| (&element.key, !element.interval_end));
    let mut items = Vec::new();
    let mut open: Option<&Element> = None;
    for element in sorted {
        match (open.take(), element.interval_end) {
            (Some(first), true) => items.push(closed(set, first, element)),
            (None, true) => items.push(lone(set, element)),
            (unended, false) => {
                items.extend(unended.map(|first| format!("{} [without an end]", lone(set, first))));
                open = Some(element);
            }
        }
    }
    items.extend(open.map(|first| {
        let last = vec![0xff; first.key.len()];
        marked(range(set, &first.key, &last), first.foreign)
    }));
    items
}

fn closed(set: &Set, first: &Element, end: &Element) -> String {
    match before(&end.key) {
        Some(last) if first.key.len() == end.key.len() => {
            marked(range(set, &first.key, &last), first.foreign || end.foreign)
        }
        _ => format!("{} {}", lone(set, first), lone(set, end)),
    }
}

fn lone(set: &Set, element: &Element) -> String {
    let text = key(set.key_type, &element.key);
    let text = if element.interval_end { format!("{text} [end]") } else { text };
    marked(text, element.foreign)
}

fn marked(text: String, foreign: bool) -> String {
    if foreign { format!("{text} [extra data]") } else { text }
}

/// The key before this one; `None` before the first of all.
fn before(key: &[u8]) -> Option<Vec<u8>> {
    let mut key = key.to_vec();
    for byte in key.iter_mut().rev() {
        let (less, borrow) = byte.overflowing_sub(1);
        *byte = less;
        if !borrow {
            return Some(key);
        }
    }
    None
}

/// As nft prints it: one key, a network if the range is one, or first and last.
fn range(set: &Set, first: &[u8], last: &[u8]) -> String {
    let text = |bytes: &[u8]| key(set.key_type, bytes);
    if first == last {
        return text(first);
    }
    let address = matches!(set.key_type, kernel::TYPE_IPADDR | kernel::TYPE_IP6ADDR);
    match prefix_len(first, last) {
        Some(len) if address => format!("{}/{len}", text(first)),
        _ => format!("{}-{}", text(first), text(last)),
    }
}

/// The length of the prefix that first and last span exactly.
fn prefix_len(first: &[u8], last: &[u8]) -> Option<u32> {
    let number = |key: &[u8]| {
        (key.len() <= 16).then(|| key.iter().fold(0_u128, |sum, &byte| sum << 8 | u128::from(byte)))
    };
    let (first, last, bits) = (number(first)?, number(last)?, u32::try_from(first.len() * 8).ok()?);
    let host = first ^ last;
    let spans = host & host.wrapping_add(1) == 0 && first & host == 0;
    spans.then(|| bits - host.count_ones())
}

/// One key in the form of its data type; bytes of a type that we never write are shown in hex.
pub(super) fn key(key_type: u32, bytes: &[u8]) -> String {
    match key_type {
        kernel::TYPE_IPADDR => <[u8; 4]>::try_from(bytes)
            .map_or_else(|_| hex(bytes), |octets| Ipv4Addr::from(octets).to_string()),
        kernel::TYPE_IP6ADDR => <[u8; 16]>::try_from(bytes)
            .map_or_else(|_| hex(bytes), |octets| Ipv6Addr::from(octets).to_string()),
        kernel::TYPE_INET_PROTOCOL => {
            <[u8; 1]>::try_from(bytes).map_or_else(|_| hex(bytes), |[number]| protocol_name(number))
        }
        _ => hex(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(elements: &[(&str, bool)]) -> Set {
        let element = |&(key, interval_end): &(&str, bool)| Element {
            key: key.parse::<Ipv4Addr>().unwrap().octets().to_vec(),
            interval_end,
            foreign: false,
        };
        Set {
            name: "networks4".into(),
            key_type: kernel::TYPE_IPADDR,
            key_len: 4,
            flags: kernel::SET_INTERVAL,
            elements: elements.iter().map(element).collect(),
        }
    }

    /// Keys, each with whether it ends a range, and how they read.
    type Case = (&'static [(&'static str, bool)], &'static [&'static str]);

    #[test]
    fn ranges_read_as_networks() {
        let cases: [Case; 6] = [
            (&[("10.0.0.0", false), ("11.0.0.0", true)], &["10.0.0.0/8"]),
            (&[("10.0.0.1", false), ("10.0.0.2", true)], &["10.0.0.1"]),
            (&[("10.0.0.1", false), ("10.0.0.3", true)], &["10.0.0.1-10.0.0.2"]),
            (&[("0.0.0.0", false)], &["0.0.0.0/0"]),
            (
                // Sorted as the planner sorts: a start before an end of the same key.
                &[("10.0.0.0", false), ("10.0.1.0", false), ("10.0.1.0", true), ("10.0.2.0", true)],
                &["10.0.0.0/24", "10.0.1.0/24"],
            ),
            (
                &[("0.0.0.0", true), ("9.0.0.0", false), ("10.0.0.0", false)],
                &["0.0.0.0 [end]", "9.0.0.0 [without an end]", "10.0.0.0-255.255.255.255"],
            ),
        ];
        for (elements, texts) in cases {
            assert_eq!(items(&set(elements)), texts);
        }
    }
}
