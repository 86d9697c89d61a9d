//! The shipped files, with the prefixes and folders of a configuration in them.

use anetcon_core::config::Config;

const RSYSLOG: &str = include_str!("../../../../rsyslog/30-anetcon.conf");
const LOGROTATE: &str = include_str!("../../../../logrotate/anetcon");
const FOLDER: &str = "/var/log/anetcon";

/// What sorts our lines into their files.
pub fn rsyslog(config: &Config) -> String {
    let prefixes = &config.log.prefixes;
    let mut text = RSYSLOG.to_owned();
    for (shipped, own) in [("[D]", &prefixes.dnat), ("[X]", &prefixes.other)] {
        let (shipped, own) = (format!("[ANETCON]{shipped}"), format!("{}{own}", prefixes.base));
        text = text.replace(&contains(&shipped), &contains(&own));
        text = text.replace(&format!(")?{}(", escaped(&shipped)), &format!(")?{}(", escaped(&own)));
    }
    text.replace(FOLDER, &config.log.directory.display().to_string())
}

/// What rotates the files.
pub fn logrotate(config: &Config) -> String {
    let sessions = format!("{FOLDER}/anetcon.sessions.ndjson");
    let text = LOGROTATE.replace(&sessions, &config.records.file.display().to_string());
    let text = text.replace(FOLDER, &config.log.directory.display().to_string());
    text.replace("/run/anetcon/anetcon.sock", &config.control.socket.display().to_string())
}

/// How rsyslog's file asks for a prefix.
pub(super) fn contains(prefix: &str) -> String {
    format!("$msg contains \"{prefix}\"")
}

/// A text as a POSIX regular expression in a string of rsyslog: two backslashes before what has a meaning.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if ".*+?()[]{}^$|".contains(letter) {
            escaped.push_str("\\\\");
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_configuration_gives_the_shipped_files() {
        assert_eq!(rsyslog(&Config::default()), RSYSLOG);
        assert_eq!(logrotate(&Config::default()), LOGROTATE);
    }

    #[test]
    fn another_prefix_stands_in_both_places() {
        let mut config = Config::default();
        config.log.prefixes.base = "audit.".to_owned();
        config.log.prefixes.dnat = "{f}".to_owned();
        let text = rsyslog(&config);
        assert!(text.contains("$msg contains \"audit.{f}\""), "{text}");
        assert!(text.contains(")?audit\\\\.\\\\{f\\\\}("), "{text}");
        assert!(!text.contains("[ANETCON]"), "{text}");
    }
}
