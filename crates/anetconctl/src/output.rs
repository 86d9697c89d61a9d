//! Where text goes: data to stdout, talk to stderr, colour only where it is wanted.

use std::io::{self, Write};
use std::ops::ControlFlow;

use anstream::{AutoStream, ColorChoice};
use anyhow::Context as _;
use serde::Serialize;

use crate::arguments::Color;
use crate::exit::{Exit, Failure};
use crate::view;

/// The two streams and how they are coloured.
#[derive(Debug)]
pub struct Output {
    choice: ColorChoice,
}

impl Output {
    /// Colour as asked for on the command line.
    pub fn new(color: Color) -> Self {
        let choice = match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self { choice }
    }

    /// Print data, and say whether anybody still reads: a pipe closed by its reader is no failure.
    ///
    /// # Errors
    /// Any other reason why stdout cannot be written, such as a full disk.
    pub fn print(&self, text: &str) -> Result<ControlFlow<()>, Failure> {
        let mut stream = AutoStream::new(io::stdout(), self.choice).lock();
        match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            Err(error) => Err(Failure::new(Exit::CannotTell, error).context("cannot write")),
        }
    }

    /// Print a document.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn json(&self, document: &impl Serialize) -> Result<ControlFlow<()>, Failure> {
        let text = serde_json::to_string_pretty(document)
            .context("cannot make JSON")
            .map_err(|error| Failure::new(Exit::CannotTell, error))?;
        self.print(&format!("{text}\n"))
    }

    /// Tell the user something that is not data.
    pub fn note(&self, text: &str) {
        // If stderr is gone there is nobody left to tell.
        let _ = writeln!(AutoStream::new(io::stderr(), self.choice).lock(), "{text}");
    }

    /// Tell the user what was left out.
    pub fn warnings(&self, warnings: &[String]) {
        for warning in warnings {
            self.note(&format!("anetconctl: {}", view::clean_word(warning)));
        }
    }

    /// Tell the user why there is no result.
    pub fn failure(&self, failure: &Failure) {
        self.note(&view::failure(&format!("{:#}", failure.error), failure.help.as_deref()));
    }

    /// Whether what goes to stderr may be coloured.
    pub fn colored_stderr(&self) -> bool {
        AutoStream::new(io::stderr(), self.choice).current_choice() != ColorChoice::Never
    }
}
