//! What can be asked, and who answers it.

use std::sync::Arc;

use anetcon_api::{
    Diff, Event, Happening, NamespaceDetail, Namespaces, Reload, Rotated, Schema, Status, paths,
};
use anetcon_core::netns::{NetnsName, ROOT};
use axum::body::{Body, Bytes};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::spawn_blocking;

use super::access::Peer;
use super::answer::Refused;
use crate::agent::{Agent, ReloadError};
use crate::clock;
use crate::metrics::{Format, page};

/// The largest body of a request, in bytes. None is needed.
const BODY_SIZE: usize = 4096;

/// Every path of the control socket.
pub fn all(agent: Arc<Agent>) -> Router {
    Router::new()
        .route(paths::STATUS, get(status))
        .route(paths::NAMESPACES, get(namespaces))
        .route(&format!("{}/{{name}}", paths::NAMESPACES), get(namespace))
        .route(paths::DIFF, get(diff))
        .route(paths::WATCH, get(watch))
        .route(paths::METRICS, get(metrics))
        .route(paths::RELOAD, post(reload))
        .route(paths::ROTATE, post(rotate))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_SIZE))
        .with_state(agent)
}

type Answer<T> = Result<Json<T>, Refused>;

async fn status(State(agent): State<Arc<Agent>>) -> Answer<Status> {
    agent.refresh().await.ok_or_else(Refused::unavailable)?;
    Ok(Json(agent.status()))
}

async fn namespaces(State(agent): State<Arc<Agent>>) -> Answer<Namespaces> {
    agent.refresh().await.ok_or_else(Refused::unavailable)?;
    Ok(Json(Namespaces { schema: Schema, namespaces: agent.registry().namespaces() }))
}

async fn namespace(
    State(agent): State<Arc<Agent>>,
    name: Result<Path<String>, PathRejection>,
) -> Answer<NamespaceDetail> {
    let Path(name) = name.map_err(|rejection| {
        let help = Some("names are UTF-8, percent-encoded");
        Refused::new(rejection.status(), rejection.body_text(), help)
    })?;
    let name = selected(&agent, &name)?;
    agent.refresh().await.ok_or_else(Refused::unavailable)?;
    agent.detail(&name).await.map(Json).ok_or_else(Refused::unavailable)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    namespace: Option<String>,
}

async fn diff(
    State(agent): State<Arc<Agent>>,
    which: Result<Query<Which>, QueryRejection>,
) -> Answer<Diff> {
    let Query(which) = which.map_err(|rejection| {
        let help = Some("the one parameter is `namespace`");
        Refused::new(StatusCode::BAD_REQUEST, rejection.body_text(), help)
    })?;
    let name = which.namespace.map(|name| selected(&agent, &name)).transpose()?;
    agent.diff(name).await.map(Json).ok_or_else(Refused::unavailable)
}

async fn reload(
    State(agent): State<Arc<Agent>>,
    Extension(peer): Extension<Peer>,
) -> Answer<Reload> {
    only_root(peer, "only root may reload the agent")?;
    agent.reload().await.map(Json).map_err(|error| match error {
        ReloadError::Bad(text) => Refused::new(StatusCode::UNPROCESSABLE_ENTITY, text, None),
        ReloadError::Unavailable => Refused::unavailable(),
    })
}

async fn rotate(
    State(agent): State<Arc<Agent>>,
    Extension(peer): Extension<Peer>,
) -> Answer<Rotated> {
    only_root(peer, "only root may have files opened anew")?;
    agent.rotate().await.map(Json).ok_or_else(Refused::unavailable)
}

/// No namespace is asked anything for it: a scrape costs the rule plane nothing.
pub(super) async fn metrics(
    State(agent): State<Arc<Agent>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::for_client(&accept.collect::<Vec<_>>().join(","));
    // The disk may be slow to answer how records go.
    let page = spawn_blocking(move || page(&agent, format)).await;
    let page = page.ok().and_then(Result::ok).ok_or_else(Refused::unavailable)?;
    Ok(([(header::CONTENT_TYPE, format.content_type())], page).into_response())
}

async fn watch(State(agent): State<Arc<Agent>>) -> Response {
    let events = stream::unfold(agent.registry().subscribe(), |mut events| async {
        let line = next_line(&mut events).await?;
        Some((Ok::<Bytes, std::convert::Infallible>(line), events))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(events)).into_response()
}

/// The next event as a line of JSON; `None` when the agent ends.
async fn next_line(events: &mut Receiver<Event>) -> Option<Bytes> {
    let event = match events.recv().await {
        Ok(event) => event,
        Err(RecvError::Lagged(count)) => Event {
            schema: Schema,
            time: clock::now(),
            namespace: None,
            happening: Happening::EventsMissed { count },
        },
        Err(RecvError::Closed) => return None,
    };
    let mut line = serde_json::to_vec(&event).ok()?;
    line.push(b'\n');
    Some(line.into())
}

fn only_root(peer: Peer, otherwise: &str) -> Result<(), Refused> {
    let help = Some("call it as root");
    let refused = || Refused::new(StatusCode::FORBIDDEN, otherwise, help);
    peer.may_write().then_some(()).ok_or_else(refused)
}

async fn unknown_path() -> Refused {
    let help = Some(
        "the paths are /v1/status, /v1/namespaces[/NAME], /v1/diff, /v1/watch, /v1/reload, /v1/rotate and /metrics",
    );
    Refused::new(StatusCode::NOT_FOUND, "there is no such path", help)
}

async fn wrong_method() -> Refused {
    let help = Some("reads are GET, /v1/reload and /v1/rotate are POST");
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method", help)
}

/// The name of a namespace that is selected.
fn selected(agent: &Agent, name: &str) -> Result<NetnsName, Refused> {
    let netns = match name {
        ROOT => Some(NetnsName::root()),
        _ => NetnsName::named(name),
    };
    netns.filter(|netns| agent.registry().namespace(netns).is_some()).ok_or_else(|| {
        let message = format!("no namespace {name:?} is audited");
        Refused::new(StatusCode::NOT_FOUND, message, Some("`anetconctl list` shows those that are"))
    })
}
