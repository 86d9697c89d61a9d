//! Why there is no answer, and what to do about it.

use std::time::Duration;

use anyhow::anyhow;

use super::server::Server;
use crate::exit::{Exit, Failure};
use crate::view;

/// Why a server gave no answer.
#[derive(Debug)]
pub struct Trouble {
    server: String,
    kind: Kind,
}

/// What went wrong.
#[derive(Debug)]
pub enum Kind {
    /// Nobody there, or no way there.
    Connect(std::io::Error),
    /// The connection broke, or what came is no HTTP.
    Http(hyper::Error),
    /// The server refused: the code of HTTP, and what it wrote.
    Refused(u16, String),
    /// What came is no record.
    NoRecord,
    /// No answer in time.
    Slow(Duration),
}

impl Trouble {
    pub fn new(server: &Server, kind: Kind) -> Self {
        Self { server: server.to_string(), kind }
    }
}

const LISTENS: &str = "is it the port for HTTP (8123 unless it was changed), and does the server listen on that address?";
const NO_RECORDS: &str =
    "is that a ClickHouse server with the tables of conf/fleet/clickhouse.sql?";
const LOGIN: &str = "name the user with --clickhouse-user and give the password in the variable CLICKHOUSE_PASSWORD or with \
                     --clickhouse-password-file";
const TABLES: &str =
    "make the tables with conf/fleet/clickhouse.sql and load them: see docs/fleet.md";
const GRANT: &str = "an administrator can say: GRANT SELECT ON anetcon.* TO the user";
const NARROWER: &str = "ask for a shorter time or for a port, or wait longer with --timeout";

/// Codes of ClickHouse's errors (src/Common/ErrorCodes.cpp), and the remedy.
const REMEDIES: [(u32, &str); 11] = [
    (47, TABLES), // a column is missing
    (60, TABLES), // a table is
    (81, TABLES), // the database is
    (159, NARROWER),
    (192, LOGIN),
    (193, LOGIN),
    (194, LOGIN),
    (195, LOGIN),
    (241, NARROWER), // memory limit
    (497, GRANT),
    (516, LOGIN),
];

impl From<Trouble> for Failure {
    fn from(Trouble { server, kind }: Trouble) -> Self {
        let (error, help) = match kind {
            Kind::Connect(error) => (
                anyhow::Error::from(error).context(format!("cannot connect to {server}")),
                Some(LISTENS),
            ),
            Kind::Http(error) => {
                let text = format!("{server} did not answer as a ClickHouse server does");
                (anyhow::Error::from(error).context(text), Some(NO_RECORDS))
            }
            Kind::Refused(status, text) => {
                let help = remedy(status, &text);
                (anyhow!("{server} refused the question: {}", reason(status, &text)), help)
            }
            Kind::NoRecord => (anyhow!("{server} sent what is no record"), Some(NO_RECORDS)),
            Kind::Slow(patience) => {
                let seconds = patience.as_secs_f64();
                (anyhow!("{server} gave no answer within {seconds} s"), Some(NARROWER))
            }
        };
        let failure = Self::new(Exit::CannotTell, error);
        match help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

fn remedy(status: u16, text: &str) -> Option<&'static str> {
    let known = REMEDIES.iter().find(|(known, _)| code(text) == Some(*known));
    match (known, status) {
        (Some((_, remedy)), _) => Some(remedy),
        (None, 401 | 403) => Some(LOGIN),
        (None, _) if code(text).is_none() => Some(NO_RECORDS),
        (None, _) => None,
    }
}

/// Servers write `Code: 60. DB::Exception: ...`, old ones `Code: 60, e.displayText() = DB::Exception: ...`.
fn code(text: &str) -> Option<u32> {
    let digits = text.trim_start().strip_prefix("Code: ")?;
    let end = digits.find(|letter: char| !letter.is_ascii_digit())?;
    digits.get(..end)?.parse().ok()
}

/// The first line of what the server wrote, not too much of it.
fn reason(status: u16, text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    match line.is_empty() {
        true => format!("HTTP status {status}"),
        false => view::clean_word(&line.chars().take(300).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_remedy() {
        let cases = [
            (404, "Code: 60, e.displayText() = DB::Exception: Table", Some(TABLES)),
            (404, "Code: 81. DB::Exception: Database anetcon does not exist", Some(TABLES)),
            (401, "Code: 192, e.displayText() = DB::Exception: Unknown user", Some(LOGIN)),
            (403, "Code: 516. DB::Exception: default: Authentication failed", Some(LOGIN)),
            (403, "Code: 497. DB::Exception: Not enough privileges", Some(GRANT)),
            (401, "", Some(LOGIN)),
            (500, "Code: 159. DB::Exception: Timeout exceeded", Some(NARROWER)),
            (500, "Code: 48. DB::Exception: Not implemented", None),
            (404, "<html>Not Found</html>", Some(NO_RECORDS)),
        ];
        for (status, text, wanted) in cases {
            assert_eq!(remedy(status, text), wanted, "{text}");
        }
    }

    #[test]
    fn a_reason_is_one_clean_line() {
        assert_eq!(reason(500, " Code: 1.\x1b[2J\nmore"), reason(500, "Code: 1.\x1b[2J"));
        assert!(!reason(500, "Code: 1.\x1b[2J").contains('\x1b'));
        assert_eq!(reason(502, "\n"), "HTTP status 502");
    }
}
