//! The control socket: HTTP/1.1 and JSON over a Unix socket, for `anetconctl` and for `curl --unix-socket`. And metrics, if asked for,
//! over TCP.
//!
//! A client can be slow, broken or hostile; none may disturb the agent or another client: every connection has
//! its own task, a limit on what it may send, and deadlines for sending it and for reading the answer.

mod access;
mod answer;
mod patient;
mod routes;
pub mod tcp;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use self::access::Peer;
use self::patient::Patient;
use crate::agent::Agent;

/// Connections at a time. One more waits until another ends, at the latest after [`HEADER_TIME`] if they stall.
const CONNECTIONS: usize = 512;

/// How long a client may take to send a request's head; an idle connection is closed after it.
const HEADER_TIME: Duration = Duration::from_secs(5);

/// How long a client may read nothing while there is something for it: as long as somebody leaves a pager alone.
const READ_TIME: Duration = Duration::from_secs(60);

/// The largest head of a request, in bytes.
const HEADER_SIZE: usize = 16 * 1024;

/// A bound control socket. Its file is removed when it is dropped.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Binds the socket, with access for root and group adm only.
    pub async fn bind(path: &Path) -> anyhow::Result<Self> {
        make_room(path).await?;
        let listener = UnixListener::bind(path)
            .with_context(|| format!("cannot listen on {}", path.display()))?;
        access::restrict(path)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Serves until dropped.
    pub async fn serve(self, agent: Arc<Agent>) {
        let routes = routes::all(agent);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let routes = routes.clone();
                    tokio::spawn(async move {
                        let Ok(peer) = Peer::of(&stream) else { return };
                        converse(stream, routes.layer(axum::Extension(peer))).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // No descriptor left, or the like: others must get a chance to close theirs.
                    tracing::warn!(%error, "cannot accept a connection to the control socket");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

/// One connection, to its end. What goes wrong on it concerns that client alone.
async fn converse<S>(stream: S, routes: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(routes);
    let ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_SIZE)
        .serve_connection(TokioIo::new(Patient::new(stream, READ_TIME)), service)
        .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a client misbehaved");
    }
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

/// Removes the socket of an agent that died, and never that of one that lives.
async fn make_room(path: &Path) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    match UnixStream::connect(path).await {
        Ok(_) => anyhow::bail!(
            "another agent listens on {}; give this one another `control.socket`",
            path.display()
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // connect(2) refuses with the same error where the file is no socket at all.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused && !is_socket(path) => {
            anyhow::bail!("{} is no socket", path.display())
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .with_context(|| format!("cannot remove the old socket {}", path.display())),
        Err(error) => Err(error).with_context(|| format!("cannot use {}", path.display())),
    }
}
