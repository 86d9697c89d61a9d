//! One line of a log file: what is written for a record, and what is found again in a file.
//!
//! Pure. The shape is that of rsyslog/30-anetcon.conf, so that one search fits both writers:
//! `2026-11-23T16:15:10.411671+00:00 host kernel: [ 1399.447843] [ANETCON][D][1a2b3c4d] IN=... `. The head with
//! the uptime is the kernel's own form (`[%5lu.%06lu]`); rsyslog keeps it or not, depending on its version and input module.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::kmsg::Record;

/// What stands between host and message, as rsyslog's tag for kernel messages.
const TAG: &str = " kernel: ";

/// The line of one record, with its newline. `time` is when the record was logged.
pub fn format(record: &Record, time: Timestamp, hostname: &str) -> String {
    let text = printable(&record.message);
    let time = time.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00");
    format!("{time} {hostname}{TAG}{} {text}\n", uptime(record.monotonic))
}

/// The uptime head of a record: seconds and microseconds since boot.
pub fn uptime(monotonic: Duration) -> String {
    format!("[{:5}.{:06}]", monotonic.as_secs(), monotonic.subsec_micros())
}

/// The message with control characters as `#` and three octal digits, as rsyslog does it. A log prefix may be set by
/// whoever is root in some namespace: a newline in it must not start a line of its own in our files.
pub fn printable(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for character in message.chars() {
        if character.is_control() {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(text, "#{byte:03o}");
            }
        } else {
            text.push(character);
        }
    }
    text
}

/// What identifies a record in a file: its uptime, if the line has one, and its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written<'a> {
    /// When it was logged, since boot.
    pub monotonic: Option<Duration>,
    /// The message as [`printable`] gives it.
    pub message: &'a str,
}

/// Finds the record in a line (without its newline) that we or rsyslog wrote. `None` for any other line.
pub fn parse(line: &str) -> Option<Written<'_>> {
    let (_, rest) = line.split_once(TAG)?;
    Some(match split_uptime(rest) {
        Some((monotonic, message)) => Written { monotonic: Some(monotonic), message },
        None => Written { monotonic: None, message: rest },
    })
}

fn split_uptime(text: &str) -> Option<(Duration, &str)> {
    let (uptime, message) = text.strip_prefix('[')?.split_once("] ")?;
    let (seconds, micros) = uptime.trim_start().split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    let micros: u64 = micros.parse().ok()?;
    let seconds: u64 = seconds.parse().ok()?;
    Some((Duration::from_secs(seconds) + Duration::from_micros(micros), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(monotonic: Duration, message: &str) -> Record {
        Record { sequence: 1, monotonic, facility: 0, level: 4, message: message.into() }
    }

    #[test]
    fn a_line_has_the_shape_that_rsyslog_writes() {
        let record = record(Duration::from_micros(1_399_447_843), "[A][D] IN= OUT=lo ");
        let time = "2026-11-23T16:15:10.411671Z".parse().unwrap();
        assert_eq!(
            format(&record, time, "vm"),
            "2026-11-23T16:15:10.411671+00:00 vm kernel: [ 1399.447843] [A][D] IN= OUT=lo \n"
        );
    }

    #[test]
    fn the_fraction_always_has_six_digits() {
        let record = record(Duration::from_secs(1_234_567), "x");
        let time = "2026-11-23T16:15:10Z".parse().unwrap();
        assert_eq!(
            format(&record, time, "vm"),
            "2026-11-23T16:15:10.000000+00:00 vm kernel: [1234567.000000] x\n"
        );
    }

    #[test]
    fn control_characters_cannot_start_a_line() {
        assert_eq!(printable("a\nb\tc\u{85}é"), "a#012b#011c#302#205é");
    }

    #[test]
    fn what_was_written_is_found_again() {
        for (monotonic, message) in
            [(0, "a"), (1_399_447_843, "[A][D] IN= "), (99_999_999_999, "[1.2] x")]
        {
            let record = record(Duration::from_micros(monotonic), message);
            let line = format(&record, Timestamp::UNIX_EPOCH, "vm");
            let written = parse(line.trim_end_matches('\n')).unwrap();
            assert_eq!(written, Written { monotonic: Some(record.monotonic), message });
        }
    }

    #[test]
    fn a_line_without_uptime_is_found_by_its_message() {
        let line = "2026-11-23T16:15:10.411671+00:00 vm kernel: [A][D] IN= OUT=lo ";
        assert_eq!(parse(line), Some(Written { monotonic: None, message: "[A][D] IN= OUT=lo " }));
        assert_eq!(parse("torn li"), None);
        assert_eq!(parse(""), None);
    }
}
