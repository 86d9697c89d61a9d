//! How answers and refusals look on the wire.

use anetcon_api::Refusal;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Why a request gets something else than what it asked for.
#[derive(Debug)]
pub struct Refused {
    code: StatusCode,
    refusal: Refusal,
}

impl Refused {
    /// A refusal with a sentence, and perhaps the remedy.
    pub fn new(code: StatusCode, message: impl Into<String>, help: Option<&str>) -> Self {
        Self { code, refusal: Refusal::new(message, help.map(ToOwned::to_owned)) }
    }

    /// The agent is starting or ending, or too busy to answer in time.
    pub fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the agent did not answer in time",
            Some("it may be starting or stopping: try again, and see its log"),
        )
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.code, Json(self.refusal)).into_response()
    }
}
