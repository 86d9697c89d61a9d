//! Why a namespace must be looked at, since when, and who is said to have caused it.

use std::time::Instant;

use anetcon_host::{Author, Changes};

/// How many authors of one repair are kept. More than one is rare; a fight must not grow without bound.
const AUTHORS: usize = 8;

/// What made a pass necessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The namespace was found.
    Start,
    /// Another configuration came into force.
    Configure,
    /// The kernel said that our table changed, or that events were lost.
    Event,
    /// The fallback: nobody said anything.
    Sweep,
}

/// A pass that is due.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: Instant,
    /// Who changed our table since then, as far as the kernel told.
    pub authors: Vec<Author>,
}

impl Pending {
    /// Due from now on.
    pub fn new(cause: Cause) -> Self {
        Self { cause, since: Instant::now(), authors: Vec::new() }
    }

    /// More changes came before the pass was done.
    pub fn add(&mut self, changes: &Changes) {
        for author in &changes.authors {
            let known = self.authors.iter().any(|a| a.tid == author.tid && a.name == author.name);
            if !known && self.authors.len() < AUTHORS {
                self.authors.push(author.clone());
            }
        }
    }

    /// Whether rules that were in force before are put back, rather than put there for the first time.
    pub fn is_repair(&self) -> bool {
        matches!(self.cause, Cause::Event | Cause::Sweep)
    }
}
