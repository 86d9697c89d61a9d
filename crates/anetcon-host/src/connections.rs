//! The connections of one open namespace: events as they come, and dumps of what is open.

use anetcon_conntrack::{Conntrack, Drained, Dumped, Filter};
use anetcon_core::netns::NetnsName;
use anetcon_core::session::Event;
use tokio::io::unix::AsyncFd;

use crate::Error;

/// The socket that hears of a namespace's connections. It keeps the namespace alive: drop it as soon as its name is gone.
#[derive(Debug)]
pub struct NetnsConnections {
    name: NetnsName,
    conntrack: AsyncFd<Conntrack>,
}

impl NetnsConnections {
    /// Takes over a socket: made just now, or inherited from an agent before us. It is read in the tokio runtime of the caller.
    ///
    /// # Errors
    /// If tokio cannot watch it.
    #[expect(
        deprecated,
        reason = "its successor is unsafe; a Conntrack owns its descriptor for good"
    )]
    pub fn adopt(name: NetnsName, conntrack: Conntrack) -> Result<Self, Error> {
        let conntrack = AsyncFd::new(conntrack)
            .map_err(|source| Error::Events { name: name.clone(), source })?;
        Ok(Self { name, conntrack })
    }

    /// Waits for events and hands over up to `limit` of them. Safe to cancel: nothing is read before there is something.
    ///
    /// # Errors
    /// If the socket cannot be read. Lost events are no error, see [`Drained`].
    pub async fn events(
        &mut self,
        limit: usize,
        take: &mut impl FnMut(Event),
    ) -> Result<Drained, Error> {
        let drained = {
            let mut guard = self
                .conntrack
                .readable_mut()
                .await
                .map_err(|source| Error::Events { name: self.name.clone(), source })?;
            let drained = guard.get_inner_mut().drain(limit, take);
            if drained.as_ref().is_ok_and(|drained| !drained.more) {
                guard.clear_ready();
            }
            drained
        };
        drained.map_err(|source| self.failed(source))
    }

    /// Hands over up to `limit` of the events that are there, without waiting.
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub fn drain(&mut self, limit: usize, take: &mut impl FnMut(Event)) -> Result<Drained, Error> {
        self.conntrack.get_mut().drain(limit, take).map_err(|source| self.failed(source))
    }

    /// Hands over every connection that is open now, and the events that wait.
    ///
    /// # Errors
    /// If the kernel does not answer, or never stood still. What was lost on the way is in `dumped` then, too.
    pub fn dump(&mut self, take: &mut impl FnMut(Event), dumped: &mut Dumped) -> Result<(), Error> {
        self.conntrack.get_mut().dump(take, dumped).map_err(|source| self.failed(source))
    }

    /// Puts another filter in force.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn refilter(&self, filter: &Filter) -> Result<(), Error> {
        self.conntrack.get_ref().refilter(filter).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: anetcon_conntrack::Error) -> Error {
        Error::Conntrack { name: self.name.clone(), source }
    }
}
