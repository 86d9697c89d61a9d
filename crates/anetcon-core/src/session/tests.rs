//! Which connections are recorded, against tables of cases and against the rules for kernel lines.

use super::*;
use crate::config::parse;

const UNTOUCHED: u32 = 1 << 3;
const SNAT: u32 = UNTOUCHED | status::SRC_NAT;
const DNAT: u32 = UNTOUCHED | status::DST_NAT;
const TCP: u8 = 6;

/// A connection from `source` to `dialled`, which is `server` behind a translation.
fn flow(protocol: u8, status: u32, source: &str, dialled: &str, server: &str) -> Flow {
    let at = |address: &str| SocketAddr::new(address.parse().unwrap(), 1);
    let tuple = |source, destination| Tuple { protocol, source, destination, icmp: None };
    Flow {
        id: 1,
        zone: 0,
        status,
        original: tuple(at(source), at(dialled)),
        reply: tuple(at(server), at(source)),
        counters: None,
        start: None,
        stop: None,
    }
}

fn limits(text: &str) -> Limits {
    let netns = NetnsName::named("qrouter-1").unwrap();
    Limits::new(&parse(text).unwrap(), &netns)
}
