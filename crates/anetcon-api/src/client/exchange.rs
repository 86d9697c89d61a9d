//! One HTTP request over its own connection.

use std::path::Path;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::Error;
use crate::Refusal;

/// The longest answer that is read. A thousand namespaces make about half a megabyte.
const LONGEST_ANSWER: usize = 16 << 20;

/// An answer whose head has arrived. Dropping it closes the connection.
pub(super) struct Exchange {
    response: Response<Incoming>,
    connection: Connection,
}

/// The task that moves the connection's bytes; it ends with its owner.
pub(super) struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connect, ask, and read the head of the answer.
pub(super) async fn open(socket: &Path, method: Method, path: &str) -> Result<Exchange, Error> {
    let request = request(method, path)?;
    let stream =
        UnixStream::connect(socket).await.map_err(|error| Error::connecting(socket, error))?;
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::Http)?;
    let connection = Connection(tokio::spawn(async move {
        // Its error also reaches the request or the body that waits on it, which tell it.
        let _ = driver.await;
    }));
    let response = sender.send_request(request).await.map_err(Error::Http)?;
    Ok(Exchange { response, connection })
}

fn request(method: Method, path: &str) -> Result<Request<Empty<Bytes>>, Error> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = method;
    // All but names is fixed and they are percent-encoded, so only the length can be wrong.
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| Error::LongName)?;
    // HTTP/1.1 demands a host; a Unix socket has none.
    request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("anetcon"));
    Ok(request)
}

impl Exchange {
    /// Go on if the agent agreed; else read why it did not.
    pub(super) async fn accepted(self) -> Result<Self, Error> {
        let code = self.response.status();
        if code == StatusCode::OK {
            return Ok(self);
        }
        let body = self.body().await?;
        Err(match serde_json::from_slice::<Refusal>(&body) {
            Ok(Refusal { error, .. }) => {
                Error::Refused { code: code.as_u16(), message: error.message, help: error.help }
            }
            // A proxy, or the server's library, answered in its own words.
            Err(_) => Error::Refused {
                code: code.as_u16(),
                message: format!("the agent answered {code}"),
                help: None,
            },
        })
    }

    /// The whole body, up to [`LONGEST_ANSWER`].
    pub(super) async fn body(self) -> Result<Bytes, Error> {
        let limited = Limited::new(self.response.into_body(), LONGEST_ANSWER);
        match limited.collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            // Besides the connection's own errors, `Limited` knows only this one.
            Err(error) => Err(error
                .downcast::<hyper::Error>()
                .map_or(Error::TooLong { limit: LONGEST_ANSWER }, |error| Error::Http(*error))),
        }
    }

    /// The body as it comes, and the connection that feeds it.
    pub(super) fn into_parts(self) -> (Incoming, Connection) {
        (self.response.into_body(), self.connection)
    }
}
