//! Runs the command line tool, against an agent that says what the test tells it to.
#![allow(dead_code, reason = "each test binary uses its part of this")]
#![allow(clippy::disallowed_methods, reason = "a test of a program has to start it")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

/// What the agent does with a request.
pub enum Answer {
    /// Answer with a code and a body.
    Body(u16, String),
    /// Send this, whatever it is, and close.
    Raw(&'static str),
    /// Send these lines as a stream, and close.
    Lines(Vec<String>),
    /// Send this line for ever.
    Endless(String),
    /// Close without a word.
    Close,
    /// Say nothing until the other side closes.
    Hang,
}

impl Answer {
    pub fn json(document: &Value) -> Self {
        Self::Body(200, document.to_string())
    }

    pub fn refusal(code: u16, message: &str) -> Self {
        let error = json!({"message": message, "help": "ask somebody"});
        Self::Body(code, json!({"schema": 1, "error": error}).to_string())
    }

    fn send(&self, stream: &mut UnixStream) -> std::io::Result<()> {
        const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
        match self {
            Self::Body(code, body) => {
                let length = body.len();
                write!(stream, "HTTP/1.1 {code} .\r\ncontent-length: {length}\r\n\r\n{body}")
            }
            Self::Raw(text) => stream.write_all(text.as_bytes()),
            Self::Lines(lines) => {
                stream.write_all(STREAM)?;
                lines.iter().try_for_each(|line| writeln!(stream, "{line}"))
            }
            Self::Endless(line) => {
                stream.write_all(STREAM)?;
                loop {
                    writeln!(stream, "{line}")?;
                }
            }
            Self::Close => Ok(()),
            Self::Hang => {
                while stream.read(&mut [0; 1024])? > 0 {}
                Ok(())
            }
        }
    }
}

/// An agent in a folder of its own. Its thread ends with the test's process.
pub struct Agent {
    folder: tempfile::TempDir,
}

impl Agent {
    /// Answers each request line that is named (`GET /v1/status`), and 404 to all others.
    pub fn answering(answers: Vec<(&'static str, Answer)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("fake.sock")).expect("a socket");
        let answers = Arc::new(answers);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, answers) = (stream.expect("a connection"), Arc::clone(&answers));
                // The tool may well close first.
                thread::spawn(move || _ = serve(&mut stream, &answers));
            }
        });
        Self { folder }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("fake.sock")
    }

    /// Run the tool against this agent.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = tool(arguments);
        command.arg("--socket").arg(self.socket());
        command
    }
}

fn serve(stream: &mut UnixStream, answers: &[(&str, Answer)]) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head);
    let asked = |line: &str| head.starts_with(&format!("{line} HTTP/1.1\r\n"));
    match answers.iter().find(|(line, _)| asked(line)) {
        Some((_, answer)) => answer.send(stream),
        None => Answer::refusal(404, "no such namespace").send(stream),
    }
}

/// The tool, without a trace of the user's own settings.
pub fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anetconctl"));
    command.args(arguments).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// The tool as nobody, without any capability, whoever runs the test: setpriv(1) sees to it.
pub fn unprivileged(arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"])
        .args(["--bounding-set=-all", "--inh-caps=-all", "--"])
        .arg(env!("CARGO_BIN_EXE_anetconctl"))
        .args(arguments);
    command
}

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn ran(mut command: Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().expect("the tool should start");
    let text = |bytes| String::from_utf8(bytes).expect("the tool should print UTF-8");
    Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// A file in the folder.
pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

/// The status of an agent that is well, or not.
pub fn status(ok: bool) -> Value {
    let problems: &[&str] = if ok { &[] } else { &["1 of 3 namespaces is not audited"] };
    json!({
        "schema": 1, "version": "0.1.0", "pid": 4242, "started": "2026-11-23T16:00:00Z",
        "verdict": {"ok": ok, "problems": problems},
        "configuration": {"file": null, "loaded": "2026-11-23T16:00:00Z", "last_error": null},
        "namespaces": {"selected": 3, "audited": 3, "failed": 0, "fighting": 0},
        "failed": [], "repairs": {"total": 0, "last": []}, "connections": {"float": 1, "nat": 2},
        "nf_log_all_netns": {"value": 1, "ok": true, "set_by_us": true, "resets": 0, "error": null},
        "log": {
            "writer": "rsyslog", "directory": "/var/log/anetcon", "float_lines": null, "nat_lines": null,
            "kernel_lines_lost": null, "unwritable_lines": null, "last_error": null, "since": null,
        },
        "protection": "plain", "period_seconds": 30, "socket": "/run/anetcon/anetcon.sock",
    })
}

pub fn namespace(name: &str, state: &str) -> Value {
    json!({
        "name": name, "hash": "d48368ae", "cookie": "1003", "state": state,
        "since": "2026-11-23T16:00:00Z", "connections": {"float": 1, "nat": 2}, "repairs": 0,
        "last_repair": null, "error": null, "fighting": false,
    })
}

pub fn namespaces(namespaces: &[Value]) -> Value {
    json!({"schema": 1, "namespaces": namespaces})
}

pub fn detail(name: &str, address: &str) -> Value {
    json!({
        "schema": 1, "namespace": namespace(name, "audited"), "rules": "table inet anetcon {\n}\n",
        "counters": [], "networks": [], "prefixes": [], "unreadable": [],
        "links": [{
            "index": 2, "name": "qg-1", "kind": "veth", "up": true, "mac": null, "addresses": [address],
        }],
    })
}

pub fn diff(in_force: bool, error: Option<&str>) -> Value {
    json!({"schema": 1, "namespaces": [
        {"namespace": "qrouter-1", "in_force": in_force, "text": "", "error": error},
    ]})
}
