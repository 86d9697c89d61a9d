//! A client that watches, written by hand like the testkit's requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anetcon_api::{Event, paths};

/// Ends a broken test whose event does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that is told every event from now on, and has read the head of its answer.
pub fn subscribed(socket: &Path) -> UnixStream {
    let mut client = UnixStream::connect(socket).expect("the agent listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", paths::WATCH);
    client.write_all(request.as_bytes()).expect("the agent takes it");
    let mut head = Vec::new();
    let mut byte = [0];
    // Byte by byte: what comes after the head is for whoever reads on.
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).expect("a head");
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    client
}

/// The events, until the agent ends the stream.
pub fn events(watcher: UnixStream) -> impl Iterator<Item = Event> {
    // One event is one chunk (RFC 9112, section 7.1), so it stands on a line of its own.
    let lines = BufReader::new(watcher).lines().map_while(Result::ok);
    lines
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
}
