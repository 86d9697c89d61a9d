//! The exit codes, and failures that know theirs.

use std::fmt;
use std::process::ExitCode;

use anetcon_api::Error;
use anyhow::anyhow;

use crate::view;

/// How a command ended. Wrong usage that clap sees is 2, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Fine = 0,
    /// A namespace is not audited, rules differ from what is wanted, or nothing was found.
    Wrong = 1,
    /// An argument is not understood.
    Usage = 2,
    /// Nobody listens at the control socket (the LSB's code for a service that is not running).
    NotRunning = 3,
    /// No permission, or no answer that tells (the LSB's "status unknown").
    CannotTell = 4,
    /// `EX_CONFIG` of sysexits.h.
    BadConfiguration = 78,
}

impl Exit {
    /// [`Fine`](Self::Fine) or [`Wrong`](Self::Wrong).
    pub fn fine_if(fine: bool) -> Self {
        if fine { Self::Fine } else { Self::Wrong }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command gave no result.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The reason; its chain is printed once, by `main`.
    pub error: anyhow::Error,
    /// What to do about it.
    pub help: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), help: None }
    }

    /// The same with a sentence before its reason.
    pub fn context(self, context: impl fmt::Display + Send + Sync + 'static) -> Self {
        Self { error: self.error.context(context), ..self }
    }

    /// The same with advice.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl From<Error> for Failure {
    fn from(mut error: Error) -> Self {
        let told = match &mut error {
            Error::Refused { message, help, .. } => {
                *message = view::clean_lines(message);
                help.take().map(|help| view::clean_lines(&help))
            }
            _ => None,
        };
        let (exit, advice) = sort(&error);
        let help = told.or_else(|| advice.map(str::to_owned));
        let error = match exit {
            Exit::BadConfiguration => {
                anyhow!("the configuration is bad, the one before it stays in force\n{error}")
            }
            _ => error.into(),
        };
        Self { exit, error, help }
    }
}

fn sort(error: &Error) -> (Exit, Option<&'static str>) {
    const START: &str = "start it with `systemctl start anetcon`, or name its socket with --socket";
    const MEMBER: &str = "run this as root; the group adm may read";
    match error {
        Error::NotRunning { .. } => (Exit::NotRunning, Some(START)),
        Error::NoPermission { .. } | Error::Refused { code: 403, .. } => {
            (Exit::CannotTell, Some(MEMBER))
        }
        Error::Refused { code: 404, .. } | Error::LongName => (Exit::Wrong, None),
        Error::Refused { code: 422, .. } => (Exit::BadConfiguration, None),
        Error::Refused { .. }
        | Error::NoAnswer { .. }
        | Error::Connect { .. }
        | Error::Http(_)
        | Error::TooLong { .. }
        | Error::Undecodable(_) => (Exit::CannotTell, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_end_as_documented() {
        let cases = [
            (403, Exit::CannotTell),
            (404, Exit::Wrong),
            (422, Exit::BadConfiguration),
            (503, Exit::CannotTell),
        ];
        for (code, exit) in cases {
            let error = Error::Refused { code, message: "no".into(), help: None };
            assert_eq!(Failure::from(error).exit, exit, "{code}");
        }
    }

    #[test]
    fn who_may_not_is_told_who_may() {
        let error = Error::Refused { code: 403, message: "no".into(), help: None };
        assert!(Failure::from(error).help.is_some_and(|help| help.contains("adm")));
    }

    #[test]
    fn the_advice_of_the_agent_goes_before_ours() {
        let help = Some("ask root".to_owned());
        let error = Error::Refused { code: 403, message: "no".into(), help: help.clone() };
        assert_eq!(Failure::from(error).help, help);
    }
}
