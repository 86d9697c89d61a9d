//! One open namespace: its rules socket, its event socket, and the pass that puts rules in force.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use anetcon_core::drift::Drift;
use anetcon_core::netns::{NetnsCookie, NetnsName};
use anetcon_core::observed::Observed;
use anetcon_core::plan::{Plan, plan};
use anetcon_core::table::Table;
use anetcon_nft::{Changes, Monitor, RulesSocket};
use tokio::io::unix::AsyncFd;

use crate::Error;

/// How often one pass programs a namespace before it reports [`Error::Contended`].
const ATTEMPTS: usize = 3;

/// The sockets of one namespace. They keep the namespace alive: drop them as soon as its name is gone.
#[derive(Debug)]
pub struct NetnsRules {
    name: NetnsName,
    cookie: NetnsCookie,
    socket: RulesSocket,
    monitor: AsyncFd<Monitor>,
}

/// What one pass found and did.
#[derive(Debug)]
pub struct Pass {
    /// What was wrong; empty when the rules were in force.
    pub drift: Vec<Drift>,
    /// What was there before.
    pub before: Observed,
    /// What is there now: verified, and equal to what was wanted.
    pub after: Observed,
    /// When the kernel had acknowledged the rules.
    pub acknowledged: Instant,
}

impl NetnsRules {
    /// Takes over two sockets of one namespace: made just now, or inherited from an agent before us.
    ///
    /// # Errors
    /// If the kernel does not tell their cookie, or tokio (whose runtime must be the caller's) cannot watch the monitor.
    #[expect(
        deprecated,
        reason = "its successor is unsafe; a Monitor owns its descriptor for good"
    )]
    pub fn adopt(name: NetnsName, socket: RulesSocket, monitor: Monitor) -> Result<Self, Error> {
        let cookie = socket.cookie().map_err(|source| Error::Nft { name: name.clone(), source })?;
        let monitor =
            AsyncFd::new(monitor).map_err(|source| Error::Events { name: name.clone(), source })?;
        Ok(Self { name, cookie, socket, monitor })
    }

    /// Hears of changes through another event socket from now on. The socket that owns the table stays as it is: with it
    /// the table would go.
    ///
    /// # Errors
    /// As [`adopt`](Self::adopt).
    #[expect(deprecated, reason = "as in adopt")]
    pub fn hear_with(&mut self, monitor: Monitor) -> Result<(), Error> {
        let name = self.name.clone();
        self.monitor = AsyncFd::new(monitor).map_err(|source| Error::Events { name, source })?;
        Ok(())
    }

    /// Programs the namespace through another socket of it from now on: one that owns the table.
    ///
    /// # Errors
    /// If it is a socket of another namespace.
    pub fn program_with(&mut self, socket: RulesSocket) -> Result<(), Error> {
        let nft = |source| Error::Nft { name: self.name.clone(), source };
        let cookie = socket.cookie().map_err(nft)?;
        if cookie != self.cookie {
            let name = self.name.clone();
            return Err(Error::Stranger { name, cookie });
        }
        self.socket = socket;
        Ok(())
    }

    /// The namespace's identity.
    pub fn cookie(&self) -> NetnsCookie {
        self.cookie
    }

    /// The ruleset generation now: as long as it stands, nothing has changed. Costs a few microseconds.
    ///
    /// # Errors
    /// If the kernel does not answer.
    pub fn generation(&mut self) -> Result<u32, Error> {
        self.socket.generation().map_err(|source| self.nft(source))
    }

    /// One consistent dump of the table of this name.
    ///
    /// # Errors
    /// If the kernel does not answer, or the ruleset never stood still.
    pub fn observe(&mut self, table: &str) -> Result<Observed, Error> {
        self.socket.observe(table).map_err(|source| self.nft(source))
    }

    /// Compares the table with what is wanted and, where they differ, replaces it in one batch and looks again.
    ///
    /// # Errors
    /// If the kernel refuses, or the rules still differ after several attempts. Nothing is half-applied: a batch is atomic.
    pub fn enforce(&mut self, wanted: &Table) -> Result<Pass, Error> {
        let before = self.observe(&wanted.name)?;
        let mut drift = Vec::new();
        let mut after = before.clone();
        let mut acknowledged = Instant::now();
        for _ in 0..ATTEMPTS {
            let next = plan(Some(wanted), &after);
            if next == Plan::Nothing {
                return Ok(Pass { drift, before, after, acknowledged });
            }
            drift = next.drift().to_vec();
            let applied = self.apply(&next);
            acknowledged = Instant::now();
            let found = std::mem::replace(&mut after, self.observe(&wanted.name)?);
            // Refused while the ruleset changed: then the plan was stale, not wrong, and there is another.
            if applied.is_err() && after.generation == found.generation {
                applied?;
            }
        }
        match plan(Some(wanted), &after) {
            Plan::Nothing => Ok(Pass { drift, before, after, acknowledged }),
            next => Err(Error::Contended { name: self.name.clone(), drift: next.drift().to_vec() }),
        }
    }

    /// Removes the table of this name; whether there was one.
    ///
    /// # Errors
    /// If the kernel refuses or does not answer.
    pub fn remove(&mut self, table: &str) -> Result<bool, Error> {
        let observed = self.observe(table)?;
        match plan(None, &observed) {
            Plan::Nothing => Ok(false),
            removal => self.apply(&removal).map(|()| true),
        }
    }

    /// Waits until the ruleset changed and reads every change that is there. Safe to cancel.
    ///
    /// # Errors
    /// If the event socket broke. A lost event is no error: it is [`Changes::lost`].
    pub async fn changes(&mut self, table: &str) -> Result<Changes, Error> {
        let own = self.socket.portid();
        let result = match self.monitor.readable_mut().await {
            Ok(mut guard) => {
                let drained = guard.get_inner_mut().drain(table, own);
                // Drained to EAGAIN, so the readiness that woke us is used up.
                guard.clear_ready();
                drained
            }
            Err(source) => return Err(Error::Events { name: self.name.clone(), source }),
        };
        result.map_err(|source| self.nft(source))
    }

    /// Reads the changes that are there now, without waiting.
    ///
    /// # Errors
    /// As [`changes`](Self::changes).
    pub fn drain(&mut self, table: &str) -> Result<Changes, Error> {
        let own = self.socket.portid();
        self.monitor.get_mut().drain(table, own).map_err(|source| self.nft(source))
    }

    fn apply(&mut self, plan: &Plan) -> Result<(), Error> {
        self.socket.apply(plan).map_err(|source| self.nft(source))
    }

    fn nft(&self, source: anetcon_nft::Error) -> Error {
        Error::Nft { name: self.name.clone(), source }
    }
}

/// The socket that programs, and owns the table where that is protected.
impl AsFd for NetnsRules {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
