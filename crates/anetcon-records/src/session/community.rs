//! Community IDs: hashes of tuples that sensors on either side of a router compute alike.

use anetcon_core::session::Tuple;
use community_id::calculate_community_id;

/// Sites may choose another seed; 0 is what every sensor has unless told otherwise.
const SEED: u16 = 0;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// The id of a tuple, by the specification's version 1. `None` if its addresses are of two families.
pub fn community_id(tuple: &Tuple) -> Option<String> {
    let (source, destination) = match (tuple.icmp, tuple.protocol) {
        (Some(icmp), _) => (Some(u16::from(icmp.kind)), Some(u16::from(icmp.code))),
        (None, TCP | UDP | SCTP) => (Some(tuple.source.port()), Some(tuple.destination.port())),
        (None, _) => (None, None),
    };
    let (from, to) = (tuple.source.ip(), tuple.destination.ip());
    calculate_community_id(SEED, from, to, source, destination, tuple.protocol, false).ok()
}

#[cfg(test)]
mod tests {
    use anetcon_core::session::Icmp;

    use super::*;

    /// Vectors of the specification: github.com/corelight/community-id-spec, `baseline/baseline_deflt.json`, all of them.
    /// For ICMP the two numbers are type and code.
    const VECTORS: &[(u8, &str, u16, &str, u16, &str)] = &[
        (
            58,
            "fe80::200:86ff:fe05:80da",
            135,
            "fe80::260:97ff:fe07:69ea",
            136,
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        ),
        (
            58,
            "fe80::260:97ff:fe07:69ea",
            136,
            "fe80::200:86ff:fe05:80da",
            135,
            "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        ),
        (
            58,
            "fe80::260:97ff:fe07:69ea",
            135,
            "fe80::200:86ff:fe05:80da",
            136,
            "1:zavyT/cezQr1fmImYCwYnMXbgck=",
        ),
        (
            58,
            "fe80::200:86ff:fe05:80da",
            136,
            "fe80::260:97ff:fe07:69ea",
            135,
            "1:zavyT/cezQr1fmImYCwYnMXbgck=",
        ),
        (
            58,
            "3ffe:501:1800:2345::2",
            3,
            "3ffe:507:0:1:200:86ff:fe05:80da",
            0,
            "1:2ObVBgIn28oZvibYZhZMBgh7WdQ=",
        ),
        (
            58,
            "3ffe:501:410:0:2c0:dfff:fe47:33e",
            1,
            "3ffe:507:0:1:200:86ff:fe05:80da",
            4,
            "1:hLZd0XGWojozrvxqE0dWB1iM6R0=",
        ),
        (
            58,
            "3ffe:507:0:1:200:86ff:fe05:80da",
            128,
            "3ffe:501:0:1001::2",
            129,
            "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
        ),
        (
            58,
            "3ffe:501:0:1001::2",
            129,
            "3ffe:507:0:1:200:86ff:fe05:80da",
            128,
            "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
        ),
        (58, "fe80::200:86ff:fe05:80da", 133, "ff02::2", 134, "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="),
        (58, "fe80::260:97ff:fe07:69ea", 134, "ff02::1", 133, "1:pkvHqCL88/tg1k4cPigmZXUtL00="),
        (1, "192.168.0.89", 8, "192.168.0.1", 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (1, "192.168.0.1", 0, "192.168.0.89", 8, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (1, "10.0.0.1", 11, "10.0.0.2", 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
        (
            6,
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            63943,
            "2607:f8b0:400c:c03::1a",
            25,
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        ),
        (
            6,
            "2607:f8b0:400c:c03::1a",
            25,
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            63943,
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        ),
        (132, "192.168.170.8", 7, "192.168.170.56", 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
        (132, "192.168.170.56", 7, "192.168.170.8", 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
        (6, "128.232.110.120", 34855, "66.35.250.204", 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (6, "66.35.250.204", 80, "128.232.110.120", 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (17, "192.168.1.52", 54585, "8.8.8.8", 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        (17, "8.8.8.8", 53, "192.168.1.52", 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        (46, "10.1.12.1", 0, "10.1.12.2", 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
        (46, "10.1.12.2", 0, "10.1.12.1", 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
    ];

    fn tuple(protocol: u8, from: &str, source: u16, to: &str, destination: u16) -> Tuple {
        let icmp = matches!(protocol, 1 | 58);
        let port = |port| if icmp { 0 } else { port };
        Tuple {
            protocol,
            source: (from.parse::<std::net::IpAddr>().unwrap(), port(source)).into(),
            destination: (to.parse::<std::net::IpAddr>().unwrap(), port(destination)).into(),
            icmp: icmp.then_some(Icmp { kind: source as u8, code: destination as u8, id: 7 }),
        }
    }

    #[test]
    fn the_published_vectors_hold() {
        for &(protocol, from, source, to, destination, expected) in VECTORS {
            let id = community_id(&tuple(protocol, from, source, to, destination));
            assert_eq!(
                id.as_deref(),
                Some(expected),
                "{protocol} {from}:{source} {to}:{destination}"
            );
        }
    }
}
