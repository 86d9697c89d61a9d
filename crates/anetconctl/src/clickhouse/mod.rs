//! The records of a fleet, asked for in a ClickHouse server over its HTTP interface. The tables are those of
//! conf/fleet/clickhouse.sql.
//!
//! `server` reads the command line, `statement` makes the SQL, `exchange` speaks HTTP, `trouble` knows what may go wrong.
//! Ranking and printing are those of the files: this only brings the lines.

mod exchange;
mod server;
mod statement;
mod trouble;

use std::time::Duration;

use anetcon_records::search::{Found, Query, Ranking};
use jiff::Timestamp;

pub use self::server::{Database, Server};
use self::trouble::Trouble;

/// A question about one address takes well under a second; one without a port and a time may read much.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks for the records that may fit, and ranks them. Where none fits, `covered` of the answer says from when to when there are any.
///
/// # Errors
/// [`Trouble`].
pub async fn search(
    server: &Server,
    query: &Query,
    limit: usize,
    patience: Option<Duration>,
) -> Result<Found, Trouble> {
    let asking = async {
        let mut ranking = Ranking::new(query, limit, server.to_string());
        exchange::ask(server, &statement::records(query), |line| ranking.line(line)).await?;
        let mut found = ranking.found();
        let no_record = || Trouble::new(server, trouble::Kind::NoRecord);
        if found.hits.is_empty() {
            // Somebody else answered, who also says yes: that must not look as if nothing was found.
            if found.files.iter().any(|report| report.damage.lines > 0) {
                return Err(no_record());
            }
            let mut answer = String::new();
            let take = |line: &[u8]| answer.push_str(&String::from_utf8_lossy(line));
            exchange::ask(server, statement::COVERED, take).await?;
            found.covered = covered(&answer).ok_or_else(no_record)?;
        }
        Ok(found)
    };
    let patience = patience.unwrap_or(PATIENCE);
    tokio::time::timeout(patience, asking)
        .await
        .unwrap_or_else(|_| Err(Trouble::new(server, trouble::Kind::Slow(patience))))
}

/// The answer to [`statement::COVERED`]: seconds of the first and the last record, and how many there are. `None` if it is
/// something else.
fn covered(answer: &str) -> Option<Option<(Timestamp, Timestamp)>> {
    let mut fields = answer.split('\t').map(str::parse::<i64>);
    let mut field = || fields.next()?.ok();
    let (first, last, count) = (field()?, field()?, field()?);
    let times = (Timestamp::from_second(first).ok()?, Timestamp::from_second(last).ok()?);
    Some((count > 0).then_some(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_table_covers_nothing() {
        let time = |seconds| Timestamp::from_second(seconds).unwrap();
        let some = Some((time(1_795_442_590), time(1_795_442_820)));
        let cases = [
            ("1795442590\t1795442820\t6", Some(some)),
            ("0\t0\t0", Some(None)),
            ("", None),
            ("a\tb\tc", None),
        ];
        for (answer, wanted) in cases {
            assert_eq!(covered(answer), wanted, "{answer:?}");
        }
    }
}
