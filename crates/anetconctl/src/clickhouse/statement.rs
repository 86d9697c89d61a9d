//! The SQL. Only addresses, ports and seconds ever stand in it, written from values of these types: no text of a user. It is
//! plain enough for every server since 2018. Pure.

use std::net::IpAddr;

use anetcon_records::search::{Query, Span};
use jiff::Timestamp;

/// From when to when there are records, in seconds since 1970, and how many.
pub const COVERED: &str = "SELECT toUnixTimestamp(min(time)), toUnixTimestamp(max(time)), count() \
                           FROM anetcon.sessions FORMAT TabSeparatedRaw";

/// The lines of all records with the address and port in the span of time, to whole seconds; the ranking looks closer, and at
/// everything else that was asked. A line that a shipper sent twice comes once.
pub fn records(query: &Query) -> String {
    let times = times(query.span);
    let mut places = vec![format!("ip = '{}'", mapped(query.asked.address))];
    places.extend(query.asked.port.map(|port| format!("port = {port}")));
    places.extend(times.iter().cloned());
    let places = places.join(" AND ");
    // The times stand here, too, so that other days are not even looked at.
    let rows = format!(
        "(outside_ip, outside_port, time) IN \
         (SELECT outside_ip, outside_port, time FROM anetcon.addresses WHERE {places})"
    );
    let rows = [vec![rows], times].concat().join(" AND ");
    format!("SELECT DISTINCT record FROM anetcon.sessions WHERE {rows} FORMAT TabSeparatedRaw")
}

/// As the tables have it: IPv4 mapped into IPv6.
fn mapped(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_string(),
        IpAddr::V6(address) => address.to_string(),
    }
}

/// What is beyond the range of `DateTime`, the years 1970 to 2106, is left out: there are no such records.
fn times(span: Span) -> Vec<String> {
    let seconds = |time: Timestamp, more| u32::try_from(time.as_second().saturating_add(more)).ok();
    let from = span.from.and_then(|from| seconds(from, 0));
    let to = span.to.and_then(|to| seconds(to, 1));
    let from = from.map(|from| format!("time >= toDateTime({from}, 'UTC')"));
    from.into_iter().chain(to.map(|to| format!("time <= toDateTime({to}, 'UTC')"))).collect()
}

#[cfg(test)]
mod tests {
    use anetcon_records::search::Asked;

    use super::*;

    fn statement(asked: &str, from: Option<&str>, to: Option<&str>) -> String {
        let time = |text: &str| text.parse().unwrap();
        let span = Span { from: from.map(time), to: to.map(time), at: None };
        let asked = Asked::parse(asked).unwrap();
        records(&Query { asked, peer: None, span, transport: None, namespace: None })
    }

    #[test]
    fn only_values_with_a_type_stand_in_it() {
        let (from, to) = (Some("2026-11-23T14:03:10.9Z"), Some("2026-11-23T14:03:10.9Z"));
        assert_eq!(
            statement("203.0.113.7:41022", from, to),
            "SELECT DISTINCT record FROM anetcon.sessions WHERE (outside_ip, outside_port, time) IN \
             (SELECT outside_ip, outside_port, time FROM anetcon.addresses WHERE ip = '::ffff:203.0.113.7' AND \
             port = 41022 AND time >= toDateTime(1795442590, 'UTC') AND time <= toDateTime(1795442591, 'UTC')) \
             AND time >= toDateTime(1795442590, 'UTC') AND time <= toDateTime(1795442591, 'UTC') FORMAT TabSeparatedRaw"
        );
        assert_eq!(
            statement("2001:db8::7", None, None),
            "SELECT DISTINCT record FROM anetcon.sessions WHERE (outside_ip, outside_port, time) IN \
             (SELECT outside_ip, outside_port, time FROM anetcon.addresses WHERE ip = '2001:db8::7') \
             FORMAT TabSeparatedRaw"
        );
    }

    #[test]
    fn times_that_no_record_has_are_left_out() {
        let text = statement("::", Some("1900-01-01T00:00:00Z"), Some("2200-01-01T00:00:00Z"));
        assert!(!text.contains("toDateTime"), "{text}");
    }
}
