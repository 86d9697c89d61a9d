//! One record of /dev/kmsg, as text and as a value.
//!
//! The format is that of the kernel's `Documentation/ABI/testing/dev-kmsg`:
//! `priority,sequence,microseconds,flag[,...];message\n`, then lines ` KEY=VALUE\n`, with bytes outside printable
//! ASCII (and the backslash) written as `\xNN`. Nothing here reads a device.

use std::str;
use std::time::Duration;

use thiserror::Error;

/// The facility of messages that the kernel itself wrote. A process that writes to /dev/kmsg always gets another
/// one (`devkmsg_write` in the kernel's printk.c turns 0 into user), so this cannot be forged there.
pub const FACILITY_KERN: u64 = 0;

/// One message of the kernel log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Counts the records since boot, without gaps.
    pub sequence: u64,
    /// When it was logged: the kernel's `local_clock()` since boot.
    pub monotonic: Duration,
    /// Who logged it; see [`FACILITY_KERN`].
    pub facility: u64,
    /// Severity, 0 (emergency) to 7 (debug).
    pub level: u8,
    /// The message with its escapes undone. It may hold control characters; bytes that are not UTF-8 became U+FFFD.
    pub message: String,
}

/// Why bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParseError {
    /// No `;` between the fields and the message.
    #[error("no `;` ends the fields of the kernel log record")]
    NoMessage,
    /// A field is missing or not a number.
    #[error("the {0} of the kernel log record is not a number")]
    Field(&'static str),
}

/// Parses what one `read` of /dev/kmsg returned. Fields that later kernels append are passed over, and so are the
/// ` KEY=VALUE` lines.
///
/// # Errors
/// [`ParseError`] if the bytes are not a record.
pub fn parse(bytes: &[u8]) -> Result<Record, ParseError> {
    let end = bytes.iter().position(|&byte| byte == b';').ok_or(ParseError::NoMessage)?;
    let (fields, rest) = bytes.split_at(end);
    let mut fields = fields.split(|&byte| byte == b',');
    let mut number = |name| {
        let field = fields.next().and_then(|field| str::from_utf8(field).ok());
        field.and_then(|field| field.parse::<u64>().ok()).ok_or(ParseError::Field(name))
    };
    let priority = number("priority")?;
    let sequence = number("sequence number")?;
    let microseconds = number("time")?;
    let text = rest.get(1..).unwrap_or_default();
    let text = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok(Record {
        sequence,
        monotonic: Duration::from_micros(microseconds),
        facility: priority >> 3,
        level: (priority & 7) as u8,
        message: unescape(text),
    })
}

/// Undoes `\xNN`. A backslash that starts no such escape stays as it is.
fn unescape(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        match escaped_byte(rest) {
            Some((byte, after)) => {
                bytes.push(byte);
                rest = after;
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

fn escaped_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let digits = text.strip_prefix(b"\\x")?;
    let (digits, after) = digits.split_at_checked(2)?;
    let mut value = 0;
    for &digit in digits {
        value = value * 16 + char::from(digit).to_digit(16)?;
    }
    Some((u8::try_from(value).ok()?, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_is_taken_apart() {
        let line =
            b"4,1234,98765432101,-,caller=T77;[ANETCON][D][1a2b3c4d] IN=a OUT=b \n SUBSYSTEM=net\n";
        assert_eq!(
            parse(line),
            Ok(Record {
                sequence: 1234,
                monotonic: Duration::from_micros(98_765_432_101),
                facility: FACILITY_KERN,
                level: 4,
                message: "[ANETCON][D][1a2b3c4d] IN=a OUT=b ".into(),
            })
        );
    }

    #[test]
    fn a_userspace_record_keeps_its_facility() {
        let record = parse(b"12,1,1,-;<4>forged").unwrap();
        assert_eq!((record.facility, record.level), (1, 4));
    }

    #[test]
    fn escapes_are_undone() {
        let cases: &[(&str, &str)] = &[
            (r"a\x0ab", "a\nb"),
            (r"\x5c", "\\"),
            (r"\xc3\xa9t\xC3\xA9", "été"),
            (r"\xff", "\u{fffd}"),
            (r"\x", r"\x"),
            (r"\x1", r"\x1"),
            (r"\x+1", r"\x+1"),
            (r"\y\", r"\y\"),
            ("semicolon; stays", "semicolon; stays"),
            ("", ""),
        ];
        for (escaped, plain) in cases {
            let record = parse(format!("4,1,1,-;{escaped}\n").as_bytes()).unwrap();
            assert_eq!(&record.message, plain, "{escaped}");
        }
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        let cases: &[(&[u8], ParseError)] = &[
            (b"", ParseError::NoMessage),
            (b"4,1,1,-", ParseError::NoMessage),
            (b";x", ParseError::Field("priority")),
            (b"4;x", ParseError::Field("sequence number")),
            (b"4,1;x", ParseError::Field("time")),
            (b"4,-1,1;x", ParseError::Field("sequence number")),
            (b"4,1,99999999999999999999;x", ParseError::Field("time")),
            (b"\xff,1,1;x", ParseError::Field("priority")),
        ];
        for (bytes, error) in cases {
            assert_eq!(parse(bytes), Err(*error), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn near_records_do_not_make_it_panic(text in r"[0-9]{1,21},[0-9]{1,21},[0-9]{1,21}[,;-]?;?[\\x0-9a-f\n;=\PC]{0,40}") {
            let _ = parse(text.as_bytes());
        }

        #[test]
        fn any_message_survives_the_kernels_escaping(message in any::<String>(), sequence: u64) {
            let mut line = format!("4,{sequence},7,-;").into_bytes();
            for byte in message.bytes() {
                match byte {
                    b' '..=b'~' if byte != b'\\' => line.push(byte),
                    _ => line.extend(format!("\\x{byte:02x}").bytes()),
                }
            }
            line.extend(b"\n KEY=VALUE\n");
            let record = parse(&line).unwrap();
            prop_assert_eq!(record.message, message);
            prop_assert_eq!(record.sequence, sequence);
        }
    }
}
