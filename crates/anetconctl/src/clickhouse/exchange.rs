//! One question over one connection.

use std::io;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use memchr::memchr;
use tokio::net::TcpStream;

use super::server::Server;
use super::trouble::{Kind, Trouble};

/// A name with several addresses, of which the first is dead, must not use up all patience.
const CONNECTING: Duration = Duration::from_secs(10);
/// The server answers when it has the whole result, so an error never comes in the middle of what looks like one.
const WHOLE: &str = "/?wait_end_of_query=1";
/// Records have about a kilobyte.
const LONGEST_LINE: usize = 1 << 20;
/// What is read of a refusal.
const LONGEST_REFUSAL: usize = 16 << 10;

/// Sends SQL and hands over each line of the answer without its newline.
///
/// # Errors
/// [`Trouble`]; some lines may have been handed over.
pub async fn ask(server: &Server, statement: &str, take: impl FnMut(&[u8])) -> Result<(), Trouble> {
    let trouble = |kind| Trouble::new(server, kind);
    let stream = connect(server).await.map_err(|error| trouble(Kind::Connect(error)))?;
    let http = |error| trouble(Kind::Http(error));
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let driver = tokio::spawn(async move {
        // Its error also reaches the request or the body that waits on it, which tell it.
        let _ = driver.await;
    });
    let response = sender.send_request(request(server, statement)).await.map_err(http)?;
    let answer = match response.status() {
        StatusCode::OK => lines(response.into_body(), take).await,
        _ => Err(refusal(response).await),
    };
    driver.abort();
    answer.map_err(trouble)
}

async fn connect(server: &Server) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect((server.host.as_str(), server.port));
    tokio::time::timeout(CONNECTING, connecting)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn request(server: &Server, statement: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(statement.as_bytes())));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(WHOLE);
    let headers = request.headers_mut();
    headers.insert(header::HOST, server.authority.clone());
    if let Some(user) = &server.user {
        headers.insert("x-clickhouse-user", user.clone());
    }
    if let Some(password) = &server.password {
        headers.insert("x-clickhouse-key", password.clone());
    }
    request
}

async fn lines(mut body: Incoming, mut take: impl FnMut(&[u8])) -> Result<(), Kind> {
    let mut rest: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Kind::Http)?.into_data() else { continue };
        let mut data = data.as_ref();
        while let Some(newline) = memchr(b'\n', data) {
            let (line, after) = (data.get(..newline), data.get(newline + 1..));
            rest.extend_from_slice(line.unwrap_or_default());
            take(&rest);
            rest.clear();
            data = after.unwrap_or_default();
        }
        rest.extend_from_slice(data);
        if rest.len() > LONGEST_LINE {
            return Err(Kind::NoRecord);
        }
    }
    if !rest.is_empty() {
        take(&rest);
    }
    Ok(())
}

async fn refusal(response: Response<Incoming>) -> Kind {
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        text.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
        if text.len() > LONGEST_REFUSAL {
            break;
        }
    }
    Kind::Refused(status, String::from_utf8_lossy(&text).into_owned())
}
