//! Clients of the control socket that no library would be: broken, hostile, slow, or another user.

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use anetcon_api::paths;
use anetcon_testkit::agent::Agent;
use anetcon_testkit::http;

use crate::common::PATIENCE;

const MEGABYTE: usize = 1 << 20;

/// What a client does that is not as it should be.
#[derive(Debug, Clone, Copy)]
pub enum Flavour {
    /// Connects and says nothing.
    Silent,
    /// Stops in the middle of a header.
    HalfHead,
    /// Announces a body and sends only the beginning of it.
    HalfBody,
    /// Keeps the connection after its answer.
    Idle,
    /// Sends no HTTP.
    Garbage,
    /// Sends one header line of 10 MB.
    LongHeader,
    /// Sends a body of 10 MB.
    LongBody,
    /// Asks again and again and reads nothing.
    Deaf,
    /// Watches and reads nothing.
    DeafWatcher,
    /// Reads the first bytes of its answer and closes.
    Leaving,
}

impl Flavour {
    pub const ALL: [Self; 10] = [
        Self::Silent,
        Self::HalfHead,
        Self::HalfBody,
        Self::Idle,
        Self::Garbage,
        Self::LongHeader,
        Self::LongBody,
        Self::Deaf,
        Self::DeafWatcher,
        Self::Leaving,
    ];

    /// Many clients of this kind, who have done what they do and stay connected.
    pub fn crowd(self, socket: &Path) -> Vec<UnixStream> {
        let count = match self {
            Self::Silent => 200,
            Self::LongHeader | Self::LongBody => 2,
            _ => 10,
        };
        let crowd: Vec<_> = (0..count).map(|_| open(socket)).collect();
        for client in &crowd {
            self.misbehave(client);
        }
        crowd
    }

    fn misbehave(self, client: &UnixStream) {
        // Being cut off while sending is what some of them deserve.
        let send = |bytes: &[u8]| drop((&*client).write_all(bytes));
        match self {
            Self::Silent => {}
            Self::HalfHead => send(b"GET /v1/status HTTP/1.1\r\nHost: anet"),
            Self::HalfBody => {
                send(b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{");
            }
            Self::Idle => send(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"),
            Self::Garbage => GARBAGE.iter().for_each(|garbage| send(garbage)),
            Self::LongHeader => {
                send(b"GET /v1/status HTTP/1.1\r\nX-Long: ");
                send(&vec![b'x'; 10 * MEGABYTE]);
            }
            Self::LongBody => {
                send(b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n");
                send(&vec![b'x'; 10 * MEGABYTE]);
            }
            Self::Deaf => {
                // The agent takes no more when its answers are not read.
                client.set_nonblocking(true).expect("a socket");
                send(&b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10_000));
            }
            Self::DeafWatcher => send(b"GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n"),
            Self::Leaving => {
                send(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n");
                (&*client).read_exact(&mut [0; 20]).expect("an answer");
                client.shutdown(std::net::Shutdown::Both).expect("a socket");
            }
        }
    }
}

/// What is no request.
pub const GARBAGE: &[&[u8]] = &[
    b"\0\0\0\0\0\0\0\0\r\n\r\n",
    b"\xff\xfe\xfd\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /v1/status\r\n\r\n",
    b"GET /v1/status HTTP/9.9\r\n\r\n",
    b"GET /v1/status HTTP/1.1\r\nno colon here\r\n\r\n",
    b"POST /v1/reload HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/reload HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"{\"method\": \"status\"}\r\n\r\n",
];

/// A client with deadlines of its own.
pub fn open(socket: &Path) -> UnixStream {
    let client = UnixStream::connect(socket).expect("the agent listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a socket");
    client.set_write_timeout(Some(PATIENCE)).expect("a socket");
    client
}

/// Everything up to the end of the conversation, which the agent must bring about.
pub fn drain(mut client: &UnixStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    match client.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
        _ => Ok(answer),
    }
}

/// The answer to one header line of 10 MB, if there was time for one.
pub fn long_header(socket: &Path) -> String {
    let client = open(socket);
    Flavour::LongHeader.misbehave(&client);
    String::from_utf8(drain(&client).expect("the agent ends it")).expect("text")
}

/// The same request so many times over one connection, each answered with this code.
pub fn repeat(socket: &Path, method: &str, path: &str, code: u16, count: usize) {
    let client = open(socket);
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    thread::scope(|scope| {
        scope.spawn(|| {
            (&client).write_all(request.repeat(count).as_bytes()).expect("the agent takes it");
        });
        let status_line = format!("HTTP/1.1 {code} ");
        // It follows the body of the answer before it, which ends without a line end.
        let lines = BufReader::new(&client).lines().map(|line| line.expect("an answer"));
        let answers = lines.filter(|line| line.contains(&status_line)).take(count).count();
        assert_eq!(answers, count);
    });
}

/// The memory that the agent occupies now.
pub fn memory_kb(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Debian's user nobody and group nogroup.
const NOBODY: u32 = 65534;
pub const NOGROUP: u32 = 65534;

const SOCKET: &str = "ANETCON_TEST_SOCKET";

/// What user nobody with this group gets for each request, or the error of connecting.
pub fn as_nobody(socket: &Path, group: u32) -> Vec<String> {
    // Not by its path, which the other user may not be allowed to walk.
    let output = Command::new("/proc/self/exe")
        .args(["--exact", "another_user", "--nocapture"])
        .env(SOCKET, socket)
        .uid(NOBODY)
        .gid(group)
        .output()
        .expect("the test binary runs");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().filter_map(|line| line.strip_prefix("answer ")).map(str::to_owned).collect()
}

/// The other user's part.
pub fn another_user() {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    let socket = Path::new(&socket);
    if let Err(error) = UnixStream::connect(socket) {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        println!("\nanswer EACCES");
        return;
    }
    let requests = [
        ("GET", paths::STATUS),
        ("GET", paths::NAMESPACES),
        ("GET", paths::DIFF),
        ("POST", paths::RELOAD),
    ];
    for (method, path) in requests {
        println!("\nanswer {}", http::request(socket, method, path).expect("an answer").code);
    }
}
