//! The stream of events, cut into lines.

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::Error;
use super::exchange::{Connection, Exchange};
use crate::Event;

/// The longest line that is read.
const LONGEST_LINE: usize = 1 << 20;

/// The events of one agent, as they come.
pub struct Watch {
    body: Incoming,
    _connection: Connection,
    pending: Vec<u8>,
    /// How much of `pending` is known to hold no newline.
    searched: usize,
}

/// One event, and the line it came in (without the newline), which may say more than we understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What the line says.
    pub event: Event,
    /// The line.
    pub line: String,
}

impl Watch {
    pub(super) fn new(exchange: Exchange) -> Self {
        let (body, connection) = exchange.into_parts();
        Self { body, _connection: connection, pending: Vec::new(), searched: 0 }
    }

    /// The next event; `None` when the agent has closed the stream. Waits without a limit.
    ///
    /// # Errors
    /// The connection broke, or a line is too long or no event.
    pub async fn next(&mut self) -> Result<Option<Received>, Error> {
        loop {
            if let Some(line) = self.take_line() {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let event = serde_json::from_slice(&line).map_err(Error::Undecodable)?;
                // JSON that was read from bytes is UTF-8, so nothing is replaced here.
                return Ok(Some(Received { event, line: String::from_utf8_lossy(&line).into() }));
            }
            if self.pending.len() > LONGEST_LINE {
                return Err(Error::TooLong { limit: LONGEST_LINE });
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.pending.extend(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(Error::Http(error)),
                None => return Ok(None),
            }
        }
    }

    /// The first whole line of what has come.
    fn take_line(&mut self) -> Option<Vec<u8>> {
        let unsearched = self.pending.get(self.searched..).unwrap_or_default();
        let Some(found) = unsearched.iter().position(|&byte| byte == b'\n') else {
            self.searched = self.pending.len();
            return None;
        };
        let mut line: Vec<u8> = self.pending.drain(..=self.searched + found).collect();
        self.searched = 0;
        line.pop();
        Some(line)
    }
}
