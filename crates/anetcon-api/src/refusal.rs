//! What the agent answers instead of what was asked for.

use serde::{Deserialize, Serialize};

use crate::Schema;

/// The body of every answer whose code is 400 or above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// `1`.
    pub schema: Schema,
    /// Why, for a person.
    pub error: RefusalBody,
}

/// The text of a [`Refusal`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalBody {
    /// What was wrong. For a bad configuration (422) the rendered diagnostics, several lines without colour.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Refusal {
    /// A refusal with a message and perhaps some help.
    pub fn new(message: impl Into<String>, help: Option<String>) -> Self {
        Self { schema: Schema, error: RefusalBody { message: message.into(), help } }
    }
}
