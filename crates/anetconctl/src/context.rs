//! What every command works with: the common arguments, made ready to use.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anetcon_api::Client;
use anetcon_core::config::Config;

use crate::arguments::Common;
use crate::configuration;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// The common arguments of one invocation.
#[derive(Debug)]
pub struct Context {
    common: Common,
    /// Where to print.
    pub output: Output,
}

impl Context {
    /// Nothing is opened or read yet.
    pub fn new(common: Common) -> Self {
        let output = Output::new(common.color);
        Self { common, output }
    }

    /// Whether JSON was asked for.
    pub fn json(&self) -> bool {
        self.common.json
    }

    /// How long to wait for an answer, if the user says so.
    pub fn patience(&self) -> Option<Duration> {
        self.common.timeout
    }

    /// The file named by `--config`.
    pub fn named_configuration(&self) -> Option<&Path> {
        self.common.config.as_deref()
    }

    /// The configuration in the named file or in the usual place.
    ///
    /// # Errors
    /// As [`configuration::load`].
    pub fn configuration(&self) -> Result<Config, Failure> {
        configuration::load(self.named_configuration(), self.output.colored_stderr())
    }

    /// The configuration if it can be had, else the defaults: for commands that only want to know where files are.
    ///
    /// # Errors
    /// A configuration file that was named on the command line and cannot be read or is bad.
    pub fn configuration_or_default(&self) -> Result<Config, Failure> {
        match self.configuration() {
            Err(failure) if self.common.config.is_none() => {
                // The file in the usual place may be for root's eyes only, and a bad one is when this is needed, too.
                self.output.note(&format!(
                    "anetconctl: the configuration cannot be used, so the usual places are searched: {:#}",
                    failure.error
                ));
                Ok(Config::default())
            }
            result => result,
        }
    }

    /// A client of the agent's socket: the one named by `--socket`, else the configuration's.
    ///
    /// # Errors
    /// A configuration file that was named on the command line and cannot be read.
    pub fn client(&self) -> Result<Client, Failure> {
        let client = Client::new(self.socket()?);
        Ok(match self.common.timeout {
            Some(limit) => client.patience(limit),
            None => client,
        })
    }

    fn socket(&self) -> Result<PathBuf, Failure> {
        if let Some(socket) = &self.common.socket {
            return Ok(socket.clone());
        }
        let usual = Config::default().control.socket;
        let files = match configuration::read(self.named_configuration()) {
            Ok(files) => files,
            // The file in the usual place may be for root's eyes only, the socket is not.
            Err(_) if self.common.config.is_none() => return Ok(usual),
            Err(failure) => return Err(failure),
        };
        if let Ok(config) = files.parse() {
            return Ok(config.control.socket);
        }
        // A bad file is when an agent that still runs on the good one is asked most.
        self.output.note(&format!(
            "anetconctl: the configuration is bad (see `anetconctl check`), so this asks at {}",
            usual.display()
        ));
        Ok(usual)
    }

    /// Wait for the agent's answer.
    ///
    /// # Errors
    /// The call's own, as a [`Failure`].
    pub fn ask<T, E: Into<Failure>>(
        &self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Exit::CannotTell, error).context("cannot start"))?;
        runtime.block_on(answer).map_err(Into::into)
    }
}
