//! One HTTP/1.1 request over a Unix socket or TCP, written by hand: the product's client must not test itself.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long somebody may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// `200`, ...
    pub code: u16,
    /// `Content-Type`; empty if there is none.
    pub content_type: String,
    /// The body, which must be UTF-8.
    pub body: String,
}

/// Sends `METHOD PATH` without a body and reads the whole answer.
///
/// # Errors
/// When nobody answers within some seconds, or not in HTTP/1.1.
pub fn request(socket: &Path, method: &str, path: &str) -> io::Result<Response> {
    exchange(unix(socket)?, method, path, "")
}

/// GET of a client that says what it takes.
///
/// # Errors
/// As [`request`].
pub fn get_accepting(socket: &Path, path: &str, accept: &str) -> io::Result<Response> {
    exchange(unix(socket)?, "GET", path, &format!("Accept: {accept}\r\n"))
}

/// The same as [`request`] over TCP, from the namespace that the thread is in.
///
/// # Errors
/// As [`request`].
pub fn request_tcp(address: SocketAddr, method: &str, path: &str) -> io::Result<Response> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    exchange(stream, method, path, "")
}

fn unix(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &str,
) -> io::Result<Response> {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: anetcon\r\n{headers}");
    let request = head + "Content-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::other(format!("not an HTTP answer: {answer:?}")))
}

fn parse(answer: &str) -> Option<Response> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("\r\ntransfer-encoding: chunked");
    let body = if chunked { join_chunks(body)? } else { body.to_owned() };
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type").then(|| value.trim().to_owned())
    };
    let content_type = head.lines().find_map(header).unwrap_or_default();
    Some(Response { code, content_type, body })
}

/// Chunks are a hexadecimal length, a line end, that many bytes, a line end; one of length 0 ends them
/// (RFC 9112, section 7.1).
fn join_chunks(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (length, after) = rest.split_once("\r\n")?;
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body += after.get(..length)?;
        rest = after.get(length..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_chunked_bodies_are_read() {
        let plain = parse("HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\n{}");
        let wanted = |code, content_type: &str, body: &str| Response {
            code,
            content_type: content_type.into(),
            body: body.into(),
        };
        assert_eq!(plain, Some(wanted(200, "text/x", "{}")));
        let chunked = parse(
            "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
        );
        assert_eq!(chunked, Some(wanted(404, "", "abcd")));
        assert_eq!(parse("SSH-2.0-OpenSSH\r\n"), None);
    }
}
