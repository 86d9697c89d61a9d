//! Where each value of a configuration comes from.

use super::diagnostic::Errors;
use super::{Config, Sources, values};

/// One key with its value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The key, dotted: `log.prefix`; each network list by its namespace: `networks."qrouter-1"`.
    pub key: String,
    /// The value as TOML.
    pub value: String,
    /// The name of the text and the line in it; `None`: it is the default.
    pub place: Option<(String, usize)>,
}

/// Every value, in the order of the shipped file.
pub fn origins(config: &Config, sources: &Sources) -> Vec<Origin> {
    let raw = sources.read(&mut Errors::default());
    let places = raw.places();
    let place = |key: &str| {
        let (_, span) = places.iter().find(|(placed, _)| placed == key)?;
        let (source, span) = sources.place(span.as_ref()?)?;
        Some((source.name.clone(), source.line(span.start)))
    };
    let mut origins = Vec::new();
    for shown in values(config) {
        if shown.key == "networks" && !config.networks.is_empty() {
            for (name, networks) in &config.networks {
                let key = format!("networks.{}", toml::Value::from(name.as_str()));
                let list = networks.iter().map(|network| toml::Value::from(network.to_string()));
                let value = toml::Value::Array(list.collect()).to_string();
                let place = place(&format!("networks.{name}"));
                origins.push(Origin { key, value, place });
            }
            continue;
        }
        let place = place(shown.key);
        origins.push(Origin { key: shown.key.to_owned(), value: shown.value, place });
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_all;

    fn sources() -> Sources {
        let mut sources = Sources::one(
            "main",
            b"period = 10\nprotocols = ['tcp', 'udp']\n[networks]\nb = ['10.0.0.0/8']\na = ['10.1.0.0/16']\n[log]\nprefix = 'M'\n",
        );
        sources.push(
            "10",
            b"# over it\nperiod = 20\nprotocols = ['icmp']\nnetworks.b = ['10.2.0.0/16']\n",
        );
        sources.push("20", b"period = 30\nlog.prefix_dnat = 'D'\nrecords.end = true\n");
        sources
    }

    #[test]
    fn drop_ins_replace_keys_and_add_namespaces() {
        let config = parse_all(&sources()).unwrap();
        assert_eq!(config.period.as_secs(), 30);
        assert_eq!(config.protocol_numbers(), [1, 58], "a list replaces a list");
        assert_eq!(
            (config.log.prefixes.base.as_str(), config.log.prefixes.dnat.as_str()),
            ("M", "D")
        );
        assert!(config.records.end);
        let networks: Vec<String> =
            config.networks.iter().map(|(name, list)| format!("{name} {}", list[0])).collect();
        assert_eq!(networks, ["a 10.1.0.0/16", "b 10.2.0.0/16"]);
    }

    #[test]
    fn each_value_is_told_with_its_file_and_line() {
        let sources = sources();
        let origins = origins(&parse_all(&sources).unwrap(), &sources);
        let place = |key: &str| {
            let origin = origins.iter().find(|origin| origin.key == key).unwrap();
            origin.place.as_ref().map(|(name, line)| format!("{name}:{line}"))
        };
        let cases = [
            ("period", Some("20:1")),
            ("protocols", Some("10:3")),
            ("networks.\"a\"", Some("main:5")),
            ("networks.\"b\"", Some("10:4")),
            ("log.prefix", Some("main:7")),
            ("log.prefix_dnat", Some("20:2")),
            ("records.end", Some("20:3")),
            ("debug", None),
        ];
        for (key, expected) in cases {
            assert_eq!(place(key).as_deref(), expected, "{key}");
        }
    }

    /// Every key has a place as soon as a file sets it.
    #[test]
    fn no_key_is_without_a_place() {
        let defaults = Config::default();
        let lines = values(&defaults).into_iter().filter(|shown| shown.key != "networks");
        let text: String =
            lines.map(|shown| format!("{} = {}\n", shown.key, shown.value)).collect();
        let sources = Sources::one("all", text.as_bytes());
        let origins = origins(&defaults, &sources);
        let without: Vec<_> = origins.iter().filter(|origin| origin.place.is_none()).collect();
        assert_eq!(without.len(), 1, "only networks: {without:?}");
    }

    #[test]
    fn an_error_is_shown_in_the_file_that_it_is_in() {
        let mut sources = Sources::one("main", b"period = 10\n");
        sources.push("first", b"\xef\xbb\xbf# a mark\ndebgu = true\n");
        sources.push("second", b"[log]\nprefix = 7\n");
        sources.push("third", b"a\xff");
        let told = parse_all(&sources).unwrap_err().render_all(&sources, false);
        for place in ["--> first:2:1", "--> second:2:10", "--> third:1:2"] {
            assert!(told.contains(place), "{told}");
        }
    }
}
