//! The client against servers that answer, refuse, hang, close and talk nonsense.

mod fake;

use std::time::Duration;

use anetcon_api::{Client, Error, Happening, Reload, Schema};
use fake::{Answer, Fake};

const SHORT: Duration = Duration::from_millis(200);

fn reload() -> Reload {
    Reload {
        schema: Schema,
        file: Some("/etc/anetcon/anetcon.toml".into()),
        loaded: "2026-11-23T16:00:00Z".into(),
        changes: vec!["period: 30 -> 60".into()],
        added: vec![],
        removed: vec!["qrouter-1".into()],
    }
}

#[tokio::test]
async fn a_document_comes_back_as_it_was_sent() {
    let fake = Fake::answering(Answer::json(200, &reload()));
    let answer = Client::new(fake.socket()).reload().await.unwrap();
    assert_eq!(answer, reload());
    assert!(fake.request().starts_with("POST /v1/reload HTTP/1.1\r\n"));
}

#[tokio::test]
async fn names_travel_encoded() {
    let fake = Fake::answering(Answer::Close);
    let _ = Client::new(fake.socket()).diff(Some("a b&c")).await;
    assert!(fake.request().starts_with("GET /v1/diff?namespace=a%20b%26c HTTP/1.1\r\n"));
}

#[tokio::test]
async fn no_socket_means_not_running() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.sock");
    let error = Client::new(&absent).status().await.unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error:?}");

    let deserted = folder.path().join("deserted.sock");
    drop(std::os::unix::net::UnixListener::bind(&deserted).unwrap());
    let error = Client::new(&deserted).status().await.unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error:?}");
}

#[tokio::test]
async fn a_refusal_carries_its_words() {
    let body = r#"{"schema":1,"error":{"message":"root only","help":"use sudo"}}"#;
    let fake = Fake::answering(Answer::text(403, body));
    let error = Client::new(fake.socket()).reload().await.unwrap_err();
    assert!(error.is_permission());
    let Error::Refused { code: 403, message, help } = error else { panic!("{error:?}") };
    assert_eq!((message.as_str(), help.as_deref()), ("root only", Some("use sudo")));
}

#[tokio::test]
async fn a_refusal_in_other_words_keeps_its_code() {
    let fake = Fake::answering(Answer::text(405, "<html>no</html>"));
    let error = Client::new(fake.socket()).reload().await.unwrap_err();
    assert_eq!(error.to_string(), "the agent answered 405 Method Not Allowed");
}

#[tokio::test]
async fn silence_ends_at_the_time_limit() {
    for answer in [Answer::Hang, Answer::HangAfter("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{")]
    {
        let fake = Fake::answering(answer);
        let error = Client::new(fake.socket()).patience(SHORT).status().await.unwrap_err();
        assert!(matches!(error, Error::NoAnswer { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn broken_conversations_are_told_apart_from_bad_documents() {
    let http = [
        Answer::Close,
        Answer::Raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        Answer::Raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"schema\":1"),
    ];
    for answer in http {
        let fake = Fake::answering(answer);
        let error = Client::new(fake.socket()).status().await.unwrap_err();
        assert!(matches!(error, Error::Http(_)), "{error:?}");
    }
    let later = r#"{"schema":2,"loaded":"","changes":[],"added":[],"removed":[],"file":null}"#;
    for body in ["", "nonsense", "{}", later] {
        let fake = Fake::answering(Answer::text(200, body));
        let error = Client::new(fake.socket()).reload().await.unwrap_err();
        assert!(matches!(error, Error::Undecodable(_)), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let fake = Fake::answering(Answer::Endless);
    let error = Client::new(fake.socket()).status().await.unwrap_err();
    assert!(matches!(error, Error::TooLong { .. }), "{error:?}");
}

#[tokio::test]
async fn events_come_one_by_one_however_they_are_cut() {
    let lines = concat!(
        r#"{"schema":1,"time":"2026-11-23T16:00:00Z","namespace":"a","type":"appeared"}"#,
        "\n\n",
        r#"{"schema":1,"time":"2026-11-23T16:00:01Z","type":"of_the_future","x":[1]}"#,
        "\n",
    );
    let fake =
        Fake::answering(Answer::Chunks(lines.as_bytes().chunks(7).map(<[u8]>::to_vec).collect()));
    let mut watch = Client::new(fake.socket()).watch().await.unwrap();
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(first.event.happening, Happening::Appeared);
    assert_eq!(first.event.namespace.as_deref(), Some("a"));
    let second = watch.next().await.unwrap().unwrap();
    assert_eq!(second.event.happening, Happening::Unknown);
    assert!(second.line.ends_with(r#""x":[1]}"#));
    assert_eq!(watch.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_line_without_end_is_cut_off() {
    let fake = Fake::answering(Answer::Endless);
    let mut watch = Client::new(fake.socket()).watch().await.unwrap();
    let error = watch.next().await.unwrap_err();
    assert!(matches!(error, Error::TooLong { .. }), "{error:?}");
}
