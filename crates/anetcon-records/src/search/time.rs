//! Times as people write them, in the order of how sure they are: RFC 3339, seconds since 1970, so long ago (`-2h`), and
//! local time. What the text cannot say for sure (the hour that a clock change repeats) is refused, not guessed.

use std::ops::Range;

use jiff::civil::{Date, DateTime};
use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::refused::Refused;

const FORMS: &str =
    "2026-11-23T14:03:10Z, 2026-11-23 14:03:10 (local time), -2h, or seconds since 1970";
const LENGTHS: &str = "for example 90s, 5m, 2h or 1d";

/// Longer ago than anything on record.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366 * 100);

/// A time that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub time: Timestamp,
    /// Whether it was written as local time.
    pub local: bool,
}

impl Moment {
    /// Reads one. `now` also says what local time is.
    ///
    /// # Errors
    /// [`Refused`], with the field that is wrong.
    pub fn parse(text: &str, now: &ZonedDateTime) -> Result<Self, Refused> {
        let sure = |time| Self { time, local: false };
        if text == "now" {
            return Ok(sure(now.timestamp()));
        }
        if let Some(length) = text.strip_prefix('-') {
            let ago = duration(text, text.len() - length.len())?;
            let time = now.timestamp().checked_sub(ago);
            return time.map(sure).map_err(|_| Refused::whole(text, "that is too long ago"));
        }
        if text.starts_with(|first: char| first.is_ascii_digit()) && !text.contains('-') {
            return epoch(text).map(sure);
        }
        fields(text)?;
        if let Ok(time) = text.parse() {
            return Ok(sure(time));
        }
        let civil: DateTime = text
            .parse()
            .map_err(|_| Refused::whole(text, "this is no time that is understood").help(FORMS))?;
        local(text, civil, now)
    }
}

/// A length of time: numbers with units, the largest first, as in `1h30m`.
///
/// # Errors
/// [`Refused`], with the part that is wrong.
pub fn length(text: &str) -> Result<SignedDuration, Refused> {
    duration(text, 0)
}

fn local(text: &str, civil: DateTime, now: &ZonedDateTime) -> Result<Moment, Refused> {
    let ambiguous = now.time_zone().to_ambiguous_timestamp(civil);
    let name = now.time_zone().iana_name().unwrap_or("this machine's time zone");
    let whole = |message: String| Refused::whole(text, message);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => {}
        AmbiguousOffset::Gap { before, .. } => {
            let message = format!("there is no such time in {name}: clocks were set forward");
            return Err(
                whole(message).help(format!("say which is meant, for example {text}{before}"))
            );
        }
        AmbiguousOffset::Fold { before, after } => {
            let message = format!("this time came twice in {name}: clocks were set back");
            let help = format!("say which is meant: {text}{before} or {text}{after}");
            return Err(whole(message).help(help));
        }
    }
    match ambiguous.unambiguous() {
        Ok(time) => Ok(Moment { time, local: true }),
        Err(_) => Err(whole("this is too far from now".into())),
    }
}

fn epoch(text: &str) -> Result<Timestamp, Refused> {
    let bad = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    if let Some(at) = bad {
        let message = "a number of seconds has only digits";
        return Err(Refused::new(text, at..text.len(), message).help(FORMS));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanoseconds = format!("{fraction:0<9}").get(..9).and_then(|digits| digits.parse().ok());
    let time = whole.parse().ok().zip(nanoseconds);
    let time = time.and_then(|(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds).ok());
    time.ok_or_else(|| {
        let message = "that many seconds after 1970 is no time: are these milliseconds?";
        Refused::whole(text, message).help(FORMS)
    })
}

fn duration(text: &str, start: usize) -> Result<SignedDuration, Refused> {
    let mut rest = start..text.len();
    let mut total = SignedDuration::ZERO;
    let mut units_before = UNITS.as_slice();
    if rest.is_empty() {
        return Err(Refused::new(text, rest, "a length of time is missing").help(LENGTHS));
    }
    while !rest.is_empty() {
        let digits = leading(text, &rest, |letter| letter.is_ascii_digit());
        let unit = leading(text, &(digits.end..rest.end), |letter| letter.is_alphabetic());
        let count: Option<i64> = text.get(digits.clone()).and_then(|digits| digits.parse().ok());
        let Some(count) = count else {
            let part = if digits.is_empty() { rest } else { digits };
            return Err(Refused::new(text, part, "this is no number").help(LENGTHS));
        };
        let name = text.get(unit.clone()).unwrap_or_default();
        let Some(at) = units_before.iter().position(|(names, _)| names.contains(&name)) else {
            let known = UNITS.iter().any(|(names, _)| names.contains(&name));
            let message = match (name, known) {
                ("", _) => "the unit is missing",
                (_, true) => "larger units come first, each once",
                (_, false) => "this is no unit of time",
            };
            return Err(Refused::new(text, unit, message).help(LENGTHS));
        };
        let (_, seconds) = units_before.get(at).copied().unwrap_or_default();
        units_before = units_before.get(at + 1..).unwrap_or_default();
        let part = count.checked_mul(seconds).map(SignedDuration::from_secs);
        let sum = part.and_then(|part| total.checked_add(part)).filter(|sum| *sum <= LONGEST);
        total = sum.ok_or_else(|| Refused::new(text, digits, "that is too long"))?;
        rest = unit.end..rest.end;
    }
    Ok(total)
}

const UNITS: [(&[&str], i64); 5] = [
    (&["w", "weeks", "week"], 604_800),
    (&["d", "days", "day"], 86_400),
    (&["h", "hours", "hour"], 3600),
    (&["m", "min", "minutes", "minute"], 60),
    (&["s", "sec", "seconds", "second"], 1),
];

fn leading(text: &str, range: &Range<usize>, wanted: impl Fn(char) -> bool) -> Range<usize> {
    let part = text.get(range.clone()).unwrap_or_default();
    let length = part.find(|letter| !wanted(letter)).unwrap_or(part.len());
    range.start..range.start + length
}

/// Checks the fields of a date with or without a time, so that the wrong one can be shown.
fn fields(text: &str) -> Result<(), Refused> {
    const SHAPE: &[u8] = b"dddd-dd-dd dd:dd:dd";
    for (index, (letter, wanted)) in text.bytes().zip(SHAPE).enumerate() {
        let fits = match wanted {
            b'd' => letter.is_ascii_digit(),
            b' ' => matches!(letter, b' ' | b'T' | b't'),
            other => letter == *other,
        };
        if !fits {
            let start = (0..=index).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            let message = "this is no time that is understood";
            return Err(Refused::new(text, start..text.len(), message).help(FORMS));
        }
    }
    if text.len() != 10 && text.len() < 16 {
        let message = "the time is cut short";
        return Err(Refused::new(text, text.len()..text.len(), message).help(FORMS));
    }
    let number = |range: Range<usize>| text.get(range).and_then(|part| part.parse::<i16>().ok());
    let days = number(0..4).zip(number(5..7)).and_then(|(year, month)| {
        Some(i16::from(Date::new(year, i8::try_from(month).ok()?, 1).ok()?.days_in_month()))
    });
    let bounds = [
        (5..7, 1, 12, "a month is 01 to 12"),
        (8..10, 1, days.unwrap_or(31), "there is no such day in this month"),
        (11..13, 0, 23, "an hour is 00 to 23"),
        (14..16, 0, 59, "a minute is 00 to 59"),
        (17..19, 0, 60, "a second is 00 to 60"),
    ];
    for (part, least, most, message) in bounds {
        if number(part.clone()).is_some_and(|number| !(least..=most).contains(&number)) {
            return Err(Refused::new(text, part, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn now() -> ZonedDateTime {
        let now: Timestamp = "2026-11-23T16:00:00Z".parse().unwrap();
        now.to_zoned_datetime(TimeZone::get("Europe/Berlin").unwrap())
    }

    #[test]
    fn every_form_is_understood() {
        let cases = [
            ("2026-11-23T14:03:10Z", "2026-11-23T14:03:10Z", false),
            ("2026-11-23T14:03:10.5+02:00", "2026-11-23T12:03:10.5Z", false),
            ("2026-11-23 14:03:10Z", "2026-11-23T14:03:10Z", false),
            ("2026-11-23 14:03:10", "2026-11-23T13:03:10Z", true),
            ("2026-07-01 14:03:10", "2026-07-01T12:03:10Z", true),
            ("2026-11-23T14:03:10.25", "2026-11-23T13:03:10.25Z", true),
            ("2026-11-23 14:03", "2026-11-23T13:03:00Z", true),
            ("2026-11-23", "2026-11-22T23:00:00Z", true),
            ("-2h", "2026-11-23T14:00:00Z", false),
            ("-1d2h30m5s", "2026-11-22T13:29:55Z", false),
            ("-90min", "2026-11-23T14:30:00Z", false),
            ("now", "2026-11-23T16:00:00Z", false),
            ("1795442590", "2026-11-23T14:03:10Z", false),
            ("1795442590.25", "2026-11-23T14:03:10.25Z", false),
        ];
        for (text, time, local) in cases {
            let expected = Moment { time: time.parse().unwrap(), local };
            assert_eq!(Moment::parse(text, &now()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn the_wrong_part_of_a_time_is_marked() {
        let cases = [
            ("", "", "cut short"),
            ("2026-13-01 00:00:00", "13", "month"),
            ("2026-02-29T00:00:00Z", "29", "day"),
            ("2026-11-23 24:00:00", "24", "hour"),
            ("2026-11-23 14:60:00", "60", "minute"),
            ("2026-11-23 14:03:61", "61", "second"),
            ("2026-11-23 14", "", "cut short"),
            ("2026/11/23", "/11/23", "number of seconds"),
            ("23.11.2026", "23.11.2026", "milliseconds"),
            ("2026-11-23 at noon", "at noon", "no time"),
            ("2026-11-23 14:03:10 CET", "2026-11-23 14:03:10 CET", "no time"),
            ("1795442590123", "1795442590123", "milliseconds"),
            ("179544x", "x", "only digits"),
            ("yesterday", "yesterday", "no time"),
            ("-", "", "missing"),
            ("-2", "", "unit is missing"),
            ("-h", "h", "no number"),
            ("-2m1h", "h", "larger units come first"),
            ("-2h2h", "h", "each once"),
            ("-2fortnights", "fortnights", "no unit"),
            ("-99999999999h", "99999999999", "too long"),
            ("2026-03-29 02:30:00", "2026-03-29 02:30:00", "set forward"),
            ("2026-10-25 02:30:00", "2026-10-25 02:30:00", "set back"),
        ];
        for (text, part, message) in cases {
            let refused = Moment::parse(text, &now()).expect_err(text);
            assert_eq!(&text[refused.part.clone()], part, "{refused:?}");
            assert!(refused.message.contains(message), "{refused:?}");
        }
    }

    proptest! {
        #[test]
        fn no_argument_makes_it_panic(text in "(\\PC|[-0-9:.TZ \\[\\]])*") {
            let results = [
                Moment::parse(&text, &now()).err(),
                length(&text).err(),
                crate::search::Asked::parse(&text).err(),
                crate::search::transport(&text).err(),
                crate::search::namespace(&text).err(),
            ];
            for refused in results.into_iter().flatten() {
                prop_assert!(text.get(refused.part).is_some(), "{text:?}");
            }
        }

        #[test]
        fn near_times_do_not_make_it_panic(text in "-?[0-9]{0,5}-?[0-9]{0,3}-[0-9é]{2}[T ][0-9]{2}:[0-9é]{2}:?[0-9]{0,3}\\.?[0-9]*(Z|\\+[0-9:]*)?") {
            if let Err(refused) = Moment::parse(&text, &now()) {
                prop_assert!(text.get(refused.part).is_some(), "{text:?}");
            }
        }
    }
}
