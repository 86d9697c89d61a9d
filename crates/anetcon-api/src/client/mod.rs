//! The client: one connection for each call, with a time limit and a size limit on what comes back.

mod error;
mod exchange;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Method;
use serde::de::DeserializeOwned;

pub use error::Error;
pub use watch::{Received, Watch};

use crate::{Diff, NamespaceDetail, Namespaces, Reload, Rotated, Status, paths};

/// How long an answer may take, from connecting to its last byte.
const PATIENCE: Duration = Duration::from_secs(5);

/// A reload and a diff go through every namespace of the machine before they answer.
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(30);

/// Speaks to the agent at one control socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    patience: Option<Duration>,
}

impl Client {
    /// A client of the socket at this path. Nothing is opened yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), patience: None }
    }

    /// The same with another time limit for every call (the default is 5 s, and 30 s for a diff or a
    /// reload).
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = Some(limit);
        self
    }

    /// The path of the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// How the agent and everything it audits stands.
    ///
    /// # Errors
    /// See [`Error`]; so for every call.
    pub async fn status(&self) -> Result<Status, Error> {
        self.call(Method::GET, paths::STATUS, PATIENCE).await
    }

    /// Every selected namespace.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn namespaces(&self) -> Result<Namespaces, Error> {
        self.call(Method::GET, paths::NAMESPACES, PATIENCE).await
    }

    /// One namespace in detail.
    ///
    /// # Errors
    /// As [`status`](Self::status); code 404 if the agent does not audit one of that name.
    pub async fn namespace(&self, name: &str) -> Result<NamespaceDetail, Error> {
        let path = format!("{}/{}", paths::NAMESPACES, encode(name));
        self.call(Method::GET, &path, PATIENCE).await
    }

    /// What should be in force against what the kernel holds, in one namespace or in all.
    ///
    /// # Errors
    /// As [`namespace`](Self::namespace).
    pub async fn diff(&self, namespace: Option<&str>) -> Result<Diff, Error> {
        let path = match namespace {
            Some(name) => format!("{}?namespace={}", paths::DIFF, encode(name)),
            None => paths::DIFF.to_owned(),
        };
        self.call(Method::GET, &path, PATIENCE_FOR_ALL).await
    }

    /// Have the agent load its configuration again.
    ///
    /// # Errors
    /// As [`status`](Self::status); code 422 with the diagnostics if the configuration is bad.
    pub async fn reload(&self) -> Result<Reload, Error> {
        self.call(Method::POST, paths::RELOAD, PATIENCE_FOR_ALL).await
    }

    /// Has the session records' file opened anew, after it was renamed. Root only.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn rotate(&self) -> Result<Rotated, Error> {
        self.call(Method::POST, paths::ROTATE, PATIENCE).await
    }

    /// Listen to events. The time limit holds until the agent has answered; there is none between events.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn watch(&self) -> Result<Watch, Error> {
        let limit = self.patience.unwrap_or(PATIENCE);
        let exchange =
            within(limit, exchange::open(&self.socket, Method::GET, paths::WATCH)).await?;
        let exchange = within(limit, exchange.accepted()).await?;
        Ok(Watch::new(exchange))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        limit: Duration,
    ) -> Result<T, Error> {
        let body = within(self.patience.unwrap_or(limit), async {
            exchange::open(&self.socket, method, path).await?.accepted().await?.body().await
        })
        .await?;
        serde_json::from_slice(&body).map_err(Error::Undecodable)
    }
}

async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, answer).await.unwrap_or(Err(Error::NoAnswer { limit }))
}

/// Percent-encode what RFC 3986 does not call unreserved. Names of namespaces are file names and may
/// hold anything but a slash.
fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_url() {
        let cases = [
            ("qrouter-a4fa_1.x~", "qrouter-a4fa_1.x~"),
            ("a b?c#d%e&f+g", "a%20b%3Fc%23d%25e%26f%2Bg"),
            ("é", "%C3%A9"),
        ];
        for (name, encoded) in cases {
            assert_eq!(encode(name), encoded);
        }
    }
}
