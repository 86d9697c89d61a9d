//! Why the records cannot be written at all.

use std::io;

use thiserror::Error;

/// The log could not be started or stopped.
#[derive(Debug, Error)]
pub enum SessionError {
    /// There is no thread to be had.
    #[error("cannot start the thread that writes session records")]
    Thread(#[source] io::Error),
    /// It ended by itself, which it never should.
    #[error("the thread that writes session records ended by a panic")]
    Panicked,
}
