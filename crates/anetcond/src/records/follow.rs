//! One namespace's connections on their way from the kernel to the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anetcon_api::NamespaceRecords;
use anetcon_core::config::Config;
use anetcon_core::ledger::{Cause, Channel};
use anetcon_core::netns::NetnsName;
use anetcon_core::session::{Action, Event, EventKind, Limits, status};
use anetcon_host::{Conntrack, Dumped, Filter, NetnsConnections};
use anetcon_records::session::Origin;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::Records;
use crate::ledger::{Of, missing};

/// Events that are handed over at once. Then others get a turn.
const BATCH: usize = 512;

/// How long an end is waited for.
const END_TIME: Duration = Duration::from_secs(2);

/// The pause after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// An event, and what it goes on record as.
pub type Recorded = (Event, Action);

/// What is put on record of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What the kernel is asked for.
    pub filter: Filter,
    /// What of that counts.
    pub limits: Limits,
}

impl Wanted {
    /// What a configuration says about a namespace.
    pub fn new(config: &Config, name: &NetnsName) -> Self {
        let filter = Filter { protocols: config.protocol_numbers(), end: config.records.end };
        Self { filter, limits: Limits::new(config, name) }
    }
}

/// The follower of a namespace, as long as this lives. When it is dropped, what waits in the kernel is read once more
/// and the socket is closed.
#[derive(Debug)]
pub struct Following {
    wanted: watch::Sender<Wanted>,
    task: JoinHandle<()>,
}

impl Following {
    /// Whether it still reads. It ends by itself only if its socket broke.
    pub fn is_alive(&self) -> bool {
        !self.wanted.is_closed()
    }

    /// Ends it, and waits until what waited in the kernel is handed over.
    pub async fn end(self) {
        drop(self.wanted);
        if timeout(END_TIME, self.task).await.is_err() {
            tracing::warn!("the last connections of a namespace take long to read");
        }
    }

    /// Records something else from now on.
    pub fn change(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|current| {
            let changed = *current != wanted;
            *current = wanted;
            changed
        });
    }
}

/// The task behind a [`Following`].
pub(super) struct Follower {
    name: NetnsName,
    origin: Arc<Origin>,
    records: Arc<Records>,
    state: NamespaceRecords,
    /// Open connections must be looked for: at the start, after an overrun, and when more is wanted.
    look: bool,
    /// When nothing waited in the kernel any more.
    caught_up: Timestamp,
    /// An overrun whose open connections were not looked for yet, and since when events may be missing.
    overrun: Option<Timestamp>,
    /// New connections: float, nat.
    told: Option<Arc<[AtomicU64; 2]>>,
    _alive: mpsc::Sender<()>,
}

impl Follower {
    pub(super) fn new(
        name: NetnsName,
        origin: Arc<Origin>,
        records: Arc<Records>,
        alive: mpsc::Sender<()>,
        inherited: bool,
    ) -> Self {
        let state = NamespaceRecords { following: true, ..NamespaceRecords::default() };
        let ledger = records.registry.ledger();
        let caught_up = if inherited { ledger.down_since() } else { Timestamp::now() };
        let (overrun, told) = (None, records.registry.told(&name));
        Self { name, origin, records, state, look: true, caught_up, overrun, told, _alive: alive }
    }

    pub(super) fn start(self, runtime: &Handle, conntrack: Conntrack, wanted: Wanted) -> Following {
        let (sender, receiver) = watch::channel(wanted);
        let task = runtime.spawn(self.run(conntrack, receiver));
        Following { wanted: sender, task }
    }

    async fn run(mut self, conntrack: Conntrack, mut wanted: watch::Receiver<Wanted>) {
        self.publish();
        let outcome = match NetnsConnections::adopt(self.name.clone(), conntrack) {
            Ok(connections) => self.follow(connections, &mut wanted).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            let error = format!("{:#}", anyhow::Error::new(error));
            tracing::error!(netns = %self.name, error, "connections are not put on record");
            let of = Of { name: &self.name, cookie: None };
            let ledger = self.records.registry.ledger();
            let from = self.caught_up;
            ledger.begin(of, Cause::Unreachable, &[Channel::Records], from, &error);
            // Its numbers are among the past ones from now on.
            let failed = NamespaceRecords { error: Some(error), ..NamespaceRecords::default() };
            self.records.registry.set_records(&self.name, failed);
        }
        // Who ends it tells what comes then: that may be another follower, which has told of itself already.
        self.records.remember(&self.state);
    }

    /// Until nobody wants it any more.
    async fn follow(
        &mut self,
        mut connections: NetnsConnections,
        wanted: &mut watch::Receiver<Wanted>,
    ) -> Result<(), anetcon_host::Error> {
        let mut limits = wanted.borrow().limits.clone();
        if !self.begin(wanted).await {
            return self.finish(&mut connections, &limits);
        }
        if wanted.has_changed().unwrap_or(false) {
            let now = wanted.borrow_and_update().clone();
            connections.refilter(&now.filter)?;
            limits = now.limits;
        }
        loop {
            if self.look {
                self.look_around(&mut connections, &limits);
                self.publish();
            }
            let mut batch = Vec::new();
            let mut take = |event| sort(&limits, event, &mut batch);
            tokio::select! {
                drained = connections.events(BATCH, &mut take) => self.took(drained?, batch),
                changed = wanted.changed() => {
                    if changed.is_err() {
                        return self.finish(&mut connections, &limits);
                    }
                    // What happened before is judged by what was in force then.
                    self.catch_up(&mut connections, &limits)?;
                    let now = wanted.borrow_and_update().clone();
                    connections.refilter(&now.filter)?;
                    limits = now.limits;
                    self.look = true;
                }
                () = sleep(AGAIN), if self.look => {}
            }
        }
    }

    /// Waits until what is read can be written. `false`: nobody wants it any more.
    async fn begin(&self, wanted: &watch::Receiver<Wanted>) -> bool {
        let mut wanted = wanted.clone();
        let unwanted = async { while wanted.changed().await.is_ok() {} };
        tokio::select! {
            () = self.records.begun() => true,
            () = unwanted => false,
        }
    }

    /// Everything that is open now. What is on record already is not written again.
    fn look_around(&mut self, connections: &mut NetnsConnections, limits: &Limits) {
        let (mut batch, mut dumped) = (Vec::new(), Dumped::default());
        let begun = Timestamp::now();
        let outcome = connections.dump(&mut |event| sort(limits, event, &mut batch), &mut dumped);
        self.tell(&batch);
        self.records.push(&self.origin, batch);
        self.count_damage(dumped.lost, dumped.malformed);
        match outcome {
            Ok(()) => {
                self.look = false;
                self.state.error = None;
                self.caught_up = begun;
                if let Some(from) = self.overrun.take() {
                    self.tell_overrun(from);
                }
            }
            // Told once, in the status; it is tried again until it works.
            Err(error) => self.state.error = Some(format!("{:#}", anyhow::Error::new(error))),
        }
    }

    fn took(&mut self, drained: anetcon_host::Drained, batch: Vec<Recorded>) {
        self.count(drained, batch);
        if drained.lost || drained.malformed > 0 {
            self.publish();
        }
        if drained.lost {
            tracing::warn!(netns = %self.name, "connections came faster than they could be read; those still open are put on record");
        }
    }

    fn count(&mut self, drained: anetcon_host::Drained, batch: Vec<Recorded>) {
        self.tell(&batch);
        self.records.push(&self.origin, batch);
        self.look |= drained.lost;
        self.count_damage(drained.lost, drained.malformed);
        if !drained.lost && !drained.more {
            self.caught_up = Timestamp::now();
        }
    }

    fn count_damage(&mut self, lost: bool, malformed: u64) {
        self.state.overruns += u64::from(lost);
        self.state.malformed += malformed;
        if lost {
            self.overrun.get_or_insert(self.caught_up);
        }
    }

    /// Counts what the rules count, too: new connections that no other one announced.
    fn tell(&self, batch: &[Recorded]) {
        let Some([float, nat]) = self.told.as_deref() else { return };
        for (event, action) in batch {
            if event.kind == EventKind::New && event.flow.status & status::EXPECTED == 0 {
                let kind = if *action == Action::Float { float } else { nat };
                kind.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What was both opened and closed in between is missing; what is still open was just found.
    fn tell_overrun(&self, from: Timestamp) {
        let of = Of { name: &self.name, cookie: None };
        let facts = missing(&[Channel::Records]);
        let ledger = self.records.registry.ledger();
        ledger.gap(of, Cause::RecordOverrun, from, Timestamp::now(), facts);
    }

    /// Everything that waits in the kernel.
    fn catch_up(
        &mut self,
        connections: &mut NetnsConnections,
        limits: &Limits,
    ) -> Result<(), anetcon_host::Error> {
        loop {
            let mut batch = Vec::new();
            let drained = connections.drain(BATCH, &mut |event| sort(limits, event, &mut batch))?;
            self.count(drained, batch);
            if !drained.more {
                return Ok(());
            }
        }
    }

    /// As long as the socket is there: nobody looks later.
    fn finish(
        &mut self,
        connections: &mut NetnsConnections,
        limits: &Limits,
    ) -> Result<(), anetcon_host::Error> {
        // A dump reads all that waits, too. In a kept socket that can be a part of an earlier one, larger than any event.
        if !self.look {
            self.catch_up(connections, limits)?;
        }
        if self.look {
            self.look_around(connections, limits);
        }
        Ok(())
    }

    fn publish(&self) {
        self.records.registry.set_records(&self.name, self.state.clone());
    }
}

fn sort(limits: &Limits, event: Event, batch: &mut Vec<Recorded>) {
    if let Some(action) = limits.action(&event.flow) {
        batch.push((event, action));
    }
}
