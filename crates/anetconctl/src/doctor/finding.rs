//! What a check found.

use serde::Serialize;

/// How a precondition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It holds.
    Ok,
    /// It does not hold: lines or records are missing, or will be.
    Wrong,
    /// It could not be found out.
    CannotTell,
    /// It does not matter with this configuration.
    NotUsed,
}

/// One precondition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Names the check, always the same.
    pub check: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// The command or the line of configuration that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), fix: None }
    }

    pub fn wrong(check: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, state: State::Wrong, found: found.into(), fix: Some(fix.into()) }
    }

    pub fn cannot_tell(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, state: State::CannotTell, found: why.into(), fix: None }
    }

    pub fn not_used(check: &'static str, why: impl Into<String>) -> Self {
        Self { check, state: State::NotUsed, found: why.into(), fix: None }
    }
}
