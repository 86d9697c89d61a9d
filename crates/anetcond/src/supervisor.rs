//! Which namespaces have a worker: found ones get one, vanished and deselected ones lose theirs.
//!
//! It never touches a ruleset; a worker that hangs or fails cannot stop it.

mod orders;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anetcon_core::config::Config;
use anetcon_core::netns::NetnsName;
use anetcon_host::Host;
use anetcon_netns::{Event, Watcher};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

pub use self::orders::{Answers, Order, Reconfigured};
use crate::hashes::HashFile;
use crate::metrics::Resync;
use crate::records::Records;
use crate::registry::Registry;
use crate::worker::{Arrival, Command, Worker, answer};

/// How many commands may wait for one worker. It answers each before the next, so few ever do.
const COMMANDS: usize = 16;

/// How long anybody waits for workers to answer. A worker that needs longer is reported by its state.
const PATIENCE: Duration = Duration::from_secs(5);

/// The keeper of the workers.
#[derive(Debug)]
pub struct Supervisor {
    config: Arc<Config>,
    host: Arc<Host>,
    watcher: Watcher,
    registry: Arc<Registry>,
    records: Arc<Records>,
    hashes: HashFile,
    workers: BTreeMap<NetnsName, Handle>,
    /// The first look at what exists is done: what comes now is new.
    started: bool,
    /// The worker that answered for the rule plane last.
    probed: Option<NetnsName>,
}

#[derive(Debug)]
struct Handle {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// A supervisor without workers. The watcher runs before the first listing, so nothing falls in between.
    pub fn new(
        config: Arc<Config>,
        host: Arc<Host>,
        watcher: Watcher,
        registry: Arc<Registry>,
        records: Arc<Records>,
    ) -> Self {
        let hashes = HashFile::new(config.state.hash_file.clone());
        let workers = BTreeMap::new();
        Self {
            config,
            host,
            watcher,
            registry,
            records,
            hashes,
            workers,
            started: false,
            probed: None,
        }
    }

    /// Works until ordered to stop. `first` is told when every namespace that was there at the start has been looked at
    /// once; `alive` is called after each proof that the rule plane turns, about every `heartbeat`.
    pub async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        first: oneshot::Sender<()>,
        heartbeat: Duration,
        alive: fn(),
    ) {
        self.take_stock().await;
        self.started = true;
        self.refresh(|_| true, first);
        let mut sweep = ticks(self.config.period);
        let mut beat = ticks(heartbeat);
        loop {
            tokio::select! {
                event = self.watcher.next() => self.watched(event).await,
                _ = sweep.tick() => self.sweep().await,
                _ = beat.tick() => self.probe(alive),
                order = orders.recv() => match order {
                    Some(Order::Refresh(done)) => self.refresh(|_| true, done),
                    Some(Order::RefreshSome(names, done)) => {
                        self.refresh(|name| names.contains(name), done);
                    }
                    Some(Order::Inspect(which, done)) => self.inspect(which.as_ref(), done),
                    Some(Order::Reconfigure(config, done)) => {
                        answer(done, self.reconfigure(config).await);
                        if sweep.period() != self.config.period {
                            sweep = ticks(self.config.period);
                        }
                    }
                    Some(Order::Stop(leave, done)) => {
                        self.release(leave, |_| true).await;
                        answer(done, ());
                        return;
                    }
                    None => return,
                },
            }
        }
    }

    async fn watched(&mut self, event: Result<Event, anetcon_netns::Error>) {
        match event {
            Ok(Event::Appeared { name, .. }) => {
                match self.workers.get(&name) {
                    // Nobody waits for the answer.
                    Some(worker) => drop(worker.send(Command::Appeared)),
                    None => self.take_on(&name),
                }
                self.hashes.save();
            }
            Ok(Event::Vanished { name }) => self.let_go(&name).await,
            Ok(Event::Lost) => {
                self.registry.facts().resynced(Resync::Namespaces);
                self.sweep().await;
            }
            Err(error) => {
                tracing::warn!(error = %format_args!("{:#}", anyhow::Error::new(error)), "namespaces are not watched as they should be, the sweep goes on");
            }
        }
    }

    /// The fallback: what no event told. Namespaces first, then the rules of each.
    async fn sweep(&mut self) {
        self.take_stock().await;
        self.registry.facts().turned();
        // Nobody waits for the answers: each worker reports for itself.
        drop(self.ask(|_| true, Command::Sweep));
    }

    /// Compares the workers with what exists and is selected. What changed, as (taken on, let go).
    async fn take_stock(&mut self) -> (Vec<NetnsName>, Vec<NetnsName>) {
        let present = match self.present() {
            Ok(present) => present,
            Err(error) => {
                // A listing that failed is not an empty one: nobody loses a worker for it.
                tracing::warn!(error = %format_args!("{:#}", anyhow::Error::new(error)), "cannot list namespaces");
                return Default::default();
            }
        };
        let gone: Vec<NetnsName> =
            self.workers.keys().filter(|name| !present.contains(*name)).cloned().collect();
        for name in &gone {
            self.let_go(name).await;
        }
        let new: Vec<NetnsName> =
            present.into_iter().filter(|name| !self.workers.contains_key(name)).collect();
        for name in &new {
            self.take_on(name);
        }
        self.hashes.save();
        (new, gone)
    }

    fn present(&self) -> Result<BTreeSet<NetnsName>, anetcon_host::Error> {
        let named = self.host.list()?.namespaces.into_iter().map(|listed| listed.name);
        let all = named.chain([NetnsName::root()]);
        Ok(all.filter(|name| self.config.selection.matches(name)).collect())
    }

    fn take_on(&mut self, name: &NetnsName) {
        if !self.config.selection.matches(name) || self.workers.contains_key(name) {
            return;
        }
        self.registry.appeared(name);
        self.hashes.add(name);
        let arrival = if self.started { Arrival::now() } else { Arrival::AtStart };
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let worker = Worker::new(
            name.clone(),
            Arc::clone(&self.host),
            Arc::clone(&self.registry),
            Arc::clone(&self.records),
            Arc::clone(&self.config),
            arrival,
        );
        let task = tokio::spawn(worker.run(inbox));
        self.workers.insert(name.clone(), Handle { commands, task });
    }

    /// A namespace that is gone.
    async fn let_go(&mut self, name: &NetnsName) {
        if self.dismiss(name).await {
            tracing::info!(netns = %name, "namespace is gone");
        }
    }

    /// Ends a worker and closes its sockets at once: as long as one is open, the kernel keeps the namespace. Whether
    /// there was a worker.
    async fn dismiss(&mut self, name: &NetnsName) -> bool {
        let Some(handle) = self.workers.remove(name) else { return false };
        handle.task.abort();
        // The sockets are closed when the task has ended, not when it was told to. An aborted task ends with an error.
        drop(handle.task.await);
        self.registry.vanished(name);
        true
    }

    /// Asks one worker after the other for a real look at its kernel, and says `alive` when it answers. Without
    /// workers, that this runs is all there is to prove.
    fn probe(&mut self, alive: fn()) {
        self.registry.facts().turned();
        let after_last = self.probed.as_ref().and_then(|last| {
            self.workers.range::<NetnsName, _>((Bound::Excluded(last), Bound::Unbounded)).next()
        });
        let Some((name, worker)) = after_last.or_else(|| self.workers.first_key_value()) else {
            alive();
            return;
        };
        let answer = worker.send(Command::Sweep);
        self.probed = Some(name.clone());
        tokio::spawn(async move {
            if answer.await.is_ok() {
                alive();
            }
        });
    }

    fn move_to(&mut self, directories: &[PathBuf]) -> anyhow::Result<()> {
        self.watcher = Watcher::start(directories)?;
        self.host = Arc::new(self.host.with_directories(directories.to_vec()));
        Ok(())
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
