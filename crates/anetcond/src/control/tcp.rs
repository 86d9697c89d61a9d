//! Metrics over TCP, and nothing else: whoever can reach the address may read them, so nothing else is there to be had.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::sleep;

use super::answer::Refused;
use super::{converse, routes};
use crate::agent::Agent;

/// Connections at a time. A scraper needs one; clients that stall keep theirs for some seconds only.
const CONNECTIONS: usize = 32;

/// Another address to listen at, or none; answered when the one before is closed.
pub type Change = (Option<TcpListener>, oneshot::Sender<()>);

/// Binds an address.
///
/// # Errors
/// The reason, and what to do about it.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, (ErrorKind, String)> {
    TcpListener::bind(address).await.map_err(|error| {
        let message =
            format!("`metrics.listen`: cannot listen on {address}: {error}{}", remedy(&error));
        (error.kind(), message)
    })
}

fn remedy(error: &io::Error) -> &'static str {
    match nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
        nix::errno::Errno::EAFNOSUPPORT => {
            "; the service may not use TCP: conf/monitoring/metrics-tcp.conf is the drop-in that lets it"
        }
        nix::errno::Errno::EADDRINUSE => "; give it another port",
        nix::errno::Errno::EADDRNOTAVAIL => "; the machine has no such address",
        _ => "",
    }
}

/// Serves at whatever address it is told to, until nobody can tell it another one.
pub async fn serve(agent: Arc<Agent>, mut changes: mpsc::Receiver<Change>) {
    let routes = metrics_alone(agent);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut listener = None;
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Some((next, done)) => {
                    listener = next;
                    // Whoever asked may have given up.
                    let _ = done.send(());
                }
                None => return,
            },
            accepted = accept(listener.as_ref(), &places) => match accepted {
                Ok((stream, place)) => {
                    let routes = routes.clone();
                    tokio::spawn(async move {
                        converse(stream, routes).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection for metrics");
                    sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

/// For ever where there is no address.
async fn accept(
    listener: Option<&TcpListener>,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let Some(listener) = listener else { return std::future::pending().await };
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

fn metrics_alone(agent: Arc<Agent>) -> Router {
    Router::new()
        .route(anetcon_api::paths::METRICS, get(routes::metrics))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(agent)
}

async fn unknown_path() -> Refused {
    let help = Some("the one path here is /metrics");
    Refused::new(StatusCode::NOT_FOUND, "there is no such path", help)
}

async fn wrong_method() -> Refused {
    let help = Some("read it with GET");
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method", help)
}
