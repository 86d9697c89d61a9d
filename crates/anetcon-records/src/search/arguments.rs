//! The rest of what a question is made of: a protocol, and a pattern for namespaces.

use regex::Regex;

use super::refused::Refused;

/// Names and numbers of protocols, and what records call them.
const TRANSPORTS: [(&[&str], &str); 7] = [
    (&["tcp", "6"], "tcp"),
    (&["udp", "17"], "udp"),
    (&["sctp", "132"], "sctp"),
    (&["icmp", "1"], "icmp"),
    (&["ipv6-icmp", "icmpv6", "icmp6", "58"], "ipv6-icmp"),
    (&["dccp", "33"], "dccp"),
    (&["udplite", "136"], "udplite"),
];

/// A protocol as records have it.
///
/// # Errors
/// [`Refused`] for what is neither a name that is known nor a number.
pub fn transport(text: &str) -> Result<String, Refused> {
    let lower = text.to_ascii_lowercase();
    let known = TRANSPORTS.iter().find(|(names, _)| names.contains(&lower.as_str()));
    if let Some((_, name)) = known {
        return Ok((*name).to_owned());
    }
    match text.parse::<u8>() {
        Ok(number) => Ok(number.to_string()),
        Err(_) => Err(Refused::whole(text, "this is no protocol")
            .help("tcp, udp, sctp, icmp, ipv6-icmp, dccp, udplite, or a number up to 255")),
    }
}

/// A regular expression for names of namespaces, unanchored.
///
/// # Errors
/// [`Refused`], with the place where it is wrong.
pub fn namespace(text: &str) -> Result<Regex, Refused> {
    use regex_syntax::Error;
    let refused = match regex_syntax::parse(text) {
        Ok(_) => None,
        Err(Error::Parse(error)) => Some((*error.span(), error.kind().to_string())),
        Err(Error::Translate(error)) => Some((*error.span(), error.kind().to_string())),
        Err(_) => None,
    };
    if let Some((span, message)) = refused {
        return Err(Refused::new(text, span.start.offset..span.end.offset, message));
    }
    Regex::new(text).map_err(|_| Refused::whole(text, "this pattern is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_have_names_and_numbers() {
        for (text, name) in [("TCP", "tcp"), ("6", "tcp"), ("icmp6", "ipv6-icmp"), ("47", "47")] {
            assert_eq!(transport(text).as_deref(), Ok(name));
        }
        for refused in ["", "http", "256", "-1"] {
            assert!(transport(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_bad_pattern_is_marked_where_it_is_bad() {
        let refused = namespace("qrouter-(").unwrap_err();
        assert_eq!(refused.part, 8..9);
        assert!(namespace("^qrouter-").unwrap().is_match("qrouter-1"));
    }
}
