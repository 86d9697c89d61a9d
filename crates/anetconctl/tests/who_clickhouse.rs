//! `who --clickhouse` where there is no answer: each time another reason, with its remedy. What a real server answers is
//! tested beside the agent that made the records.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use common::{Ran, ran, tool};

/// A server that answers every request with these bytes, or with nothing for as long as the other side waits.
fn answering(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let read = stream.read(&mut [0; 4096]).unwrap_or_default();
            match answer {
                // The tool may well close first.
                Some(answer) => _ = stream.write_all(answer.as_bytes()),
                None => while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {},
            }
            assert!(read > 0, "a connection without a question");
        }
    });
    url
}

fn who(url: &str, arguments: &[&str]) -> Ran {
    let mut command = tool(&["who", "203.0.113.7:41022", "--clickhouse", url]);
    command.args(arguments).env_remove("CLICKHOUSE_USER").env_remove("CLICKHOUSE_PASSWORD");
    ran(command)
}

#[test]
fn who_does_not_answer_is_not_nothing_found() {
    let cases = [
        (Some("SSH-2.0-OpenSSH_9.2\r\n"), "did not answer as a ClickHouse server does"),
        (Some("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n<html>\n</html>"), "no record"),
        (Some("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "no record"),
        (Some("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"@times"), "did not answer"),
        (Some("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), "HTTP status 502"),
        (None, "no answer within 0.3 s"),
    ];
    for (answer, wanted) in cases {
        let patience = if answer.is_some() { "20" } else { "0.3" };
        let ran = who(&answering(answer), &["--timeout", patience]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""), "{answer:?}: {ran:?}");
        assert!(ran.stderr.contains(wanted) && ran.stderr.contains("help: "), "{ran:?}");
    }
}

#[test]
fn a_refused_argument_shows_the_wrong_part() {
    let cases: [(&str, &[&str], &str); 4] = [
        ("https://clickhouse.example", &[], "ssh -N -L"),
        (
            "http://me:secret@clickhouse.example",
            &[],
            "  http://me:secret@clickhouse.example\n         ^^^^^^^^^ ",
        ),
        ("http://clickhouse.example", &["--dir", "/tmp"], "cannot be used with"),
        ("http://clickhouse.example", &["--clickhouse-user", "a\nb"], "cannot be sent"),
    ];
    for (url, arguments, wanted) in cases {
        let ran = who(url, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{url}: {ran:?}");
        assert!(ran.stderr.contains(wanted), "{wanted}: {ran:?}");
    }
}

#[test]
fn a_password_file_that_is_missing_is_named() {
    let ran = who("http://clickhouse.example", &["--clickhouse-password-file", "/nonexistent"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("cannot read the password in /nonexistent"), "{ran:?}");
}
