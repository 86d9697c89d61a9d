//! A server of one connection after another that always does the same, in its own thread.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use serde::Serialize;

/// What the server does once it has read a request.
pub enum Answer {
    /// Send this, whatever it is, and close.
    Raw(&'static str),
    /// As above, owned.
    Owned(String),
    /// Send these bodies as one chunked answer, each in its own write.
    Chunks(Vec<Vec<u8>>),
    /// Send a body that never ends.
    Endless,
    /// Close without a word.
    Close,
    /// Say nothing until the other side closes.
    Hang,
    /// Send this, then as `Hang`.
    HangAfter(&'static str),
}

impl Answer {
    pub fn json(code: u16, document: &impl Serialize) -> Self {
        Self::text(code, &serde_json::to_string(document).expect("JSON"))
    }

    pub fn text(code: u16, body: &str) -> Self {
        let length = body.len();
        Self::Owned(format!("HTTP/1.1 {code} .\r\ncontent-length: {length}\r\n\r\n{body}"))
    }

    fn send(&self, stream: &mut UnixStream) -> std::io::Result<()> {
        const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        match self {
            Self::Raw(text) => stream.write_all(text.as_bytes()),
            Self::Owned(text) => stream.write_all(text.as_bytes()),
            Self::Close => Ok(()),
            Self::Hang => wait_for_close(stream),
            Self::HangAfter(text) => {
                stream.write_all(text.as_bytes())?;
                wait_for_close(stream)
            }
            Self::Chunks(chunks) => {
                stream.write_all(HEAD)?;
                for data in chunks {
                    chunk(stream, data)?;
                }
                chunk(stream, b"")
            }
            Self::Endless => {
                stream.write_all(HEAD)?;
                loop {
                    chunk(stream, &[b'x'; 65536])?;
                }
            }
        }
    }
}

fn chunk(stream: &mut UnixStream, data: &[u8]) -> std::io::Result<()> {
    write!(stream, "{:x}\r\n", data.len())?;
    stream.write_all(data)?;
    stream.write_all(b"\r\n")
}

fn wait_for_close(stream: &mut UnixStream) -> std::io::Result<()> {
    while stream.read(&mut [0; 1024])? > 0 {}
    Ok(())
}

pub struct Fake {
    folder: tempfile::TempDir,
    requests: Receiver<String>,
}

impl Fake {
    pub fn answering(answer: Answer) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("fake.sock")).expect("a socket");
        let (told, requests) = channel();
        thread::spawn(move || serve(&listener, &answer, &told));
        Self { folder, requests }
    }

    pub fn socket(&self) -> PathBuf {
        let folder: &Path = self.folder.path();
        folder.join("fake.sock")
    }

    /// The head of the first request that has not been asked for yet.
    pub fn request(&self) -> String {
        self.requests.recv_timeout(Duration::from_secs(5)).expect("a request should have come")
    }
}

/// Ends with the test's process; the socket's folder goes with the `Fake`.
fn serve(listener: &UnixListener, answer: &Answer, told: &Sender<String>) {
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
            head.push(byte[0]);
        }
        let _ = told.send(String::from_utf8_lossy(&head).into_owned());
        // The client may well close first.
        let _ = answer.send(&mut stream);
    }
}
