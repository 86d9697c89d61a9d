//! Times and durations for people.

use jiff::Timestamp;

/// `2026-11-23 16:00:05 UTC`. What is not a time is shown as it came.
pub fn second(time: &str) -> String {
    written(time, "%Y-%m-%d %H:%M:%S UTC")
}

/// `2026-11-23T16:00:05Z`: one word, for columns.
pub fn compact(time: &str) -> String {
    written(time, "%Y-%m-%dT%H:%M:%SZ")
}

/// `2026-11-23 16:00:05.123 UTC`.
pub fn millisecond(time: &str) -> String {
    written(time, "%Y-%m-%d %H:%M:%S%.3f UTC")
}

fn written(time: &str, format: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(timestamp) => timestamp.strftime(format).to_string(),
        Err(_) => super::clean_word(time),
    }
}

/// `2026-11-23 16:00:05 UTC (3 h 12 min)`: a time and how long ago it was.
pub fn since(time: &str, now: Timestamp) -> String {
    let seconds = time.parse::<Timestamp>().map_or(-1, |then| now.as_second() - then.as_second());
    match u64::try_from(seconds) {
        Ok(seconds) => format!("{} ({})", second(time), rough(seconds)),
        // A clock that was set back gives no sensible age.
        Err(_) => second(time),
    }
}

/// The two largest units.
fn rough(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// `0.4 ms`, `12 ms`, `3.2 s`.
pub fn took(microseconds: u64) -> String {
    let (milli, tenths) = (microseconds / 1000, microseconds % 1000 / 100);
    match microseconds {
        0..100 => format!("{microseconds} µs"),
        100..10_000 => format!("{milli}.{tenths} ms"),
        10_000..1_000_000 => format!("{milli} ms"),
        _ => format!("{}.{} s", milli / 1000, milli % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(second("2026-11-23T17:00:05.9+01:00"), "2026-11-23 16:00:05 UTC");
        assert_eq!(compact("2026-11-23T17:00:05.9+01:00"), "2026-11-23T16:00:05Z");
        assert_eq!(millisecond("2026-11-23T16:00:05.123456Z"), "2026-11-23 16:00:05.123 UTC");
        assert_eq!(second("yesterday\x1b"), "yesterday\\u{1b}");
    }

    #[test]
    fn ages_have_two_units() {
        let now: Timestamp = "2026-11-23T16:00:00Z".parse().unwrap();
        let cases = [
            ("2026-11-23T15:59:18Z", "(42 s)"),
            ("2026-11-23T15:58:18Z", "(1 min 42 s)"),
            ("2026-11-23T12:47:59Z", "(3 h 12 min)"),
            ("2026-11-20T12:00:00Z", "(3 d 4 h)"),
            ("2026-11-23T16:00:09Z", "UTC"),
        ];
        for (time, end) in cases {
            assert!(since(time, now).ends_with(end), "{}", since(time, now));
        }
    }

    #[test]
    fn durations_keep_the_digits_that_matter() {
        let cases = [
            (85, "85 µs"),
            (410, "0.4 ms"),
            (12_345, "12 ms"),
            (999_999, "999 ms"),
            (3_210_000, "3.2 s"),
        ];
        for (microseconds, shown) in cases {
            assert_eq!(took(microseconds), shown);
        }
    }
}
