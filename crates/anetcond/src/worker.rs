//! One selected namespace: its sockets, and the loop that keeps its rules in force.
//!
//! Start, event, sweep, reload and command all end in the same pass: compare, replace what differs in one
//! batch, compare again. What differs and how long to wait is decided in anetcon-core.

mod connections;
mod gaps;
mod pending;
mod report;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use anetcon_core::config::Config;
use anetcon_core::desired;
use anetcon_core::netns::{NetnsCookie, NetnsName};
use anetcon_core::observed::Observed;
use anetcon_core::protect::Protection;
use anetcon_core::schedule::{self, Schedule};
use anetcon_core::table::Table;
use anetcon_core::tally::Tally;
use anetcon_host::{Changes, FileId, Host, Link, NetnsRules, RulesSocket};
use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

pub use self::gaps::Arrival;
use self::gaps::Gaps;
use self::pending::{Cause, Pending};
use crate::metrics::Resync;
use crate::records::{Following, Records};
use crate::registry::Registry;
use crate::store::Use;

/// What a worker can be asked. Each answers when it is done.
#[derive(Debug)]
pub enum Command {
    /// The namespace is there now, as far as the watcher knows: what failed before need not fail again.
    Appeared(oneshot::Sender<()>),
    /// Look whether anything changed that no event told, and put it right.
    Sweep(oneshot::Sender<()>),
    /// Dump everything, for fresh counters.
    Refresh(oneshot::Sender<()>),
    /// Put another configuration in force.
    Configure(Arc<Config>, Arc<Host>, oneshot::Sender<()>),
    /// Tell what the kernel holds.
    Inspect(oneshot::Sender<Inspection>),
    /// Remove our table, unless it is to stay, and end. Whether that worked.
    Release(Leave, oneshot::Sender<anyhow::Result<()>>),
}

/// What happens to a table that outlives the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It is removed as any other.
    Nothing,
    /// It is left to the service manager, which closes its socket: then the kernel removes it.
    Stored,
    /// It stays, whatever protects it: another run follows at once.
    Everything,
}

/// What the kernel holds of a namespace.
#[derive(Debug)]
pub struct Inspection {
    /// Our table.
    pub observed: anyhow::Result<Observed>,
    /// What should protect it.
    pub protection: Protection,
    /// The links.
    pub links: anyhow::Result<Vec<Link>>,
}

/// A worker and everything it knows.
#[derive(Debug)]
pub struct Worker {
    name: NetnsName,
    host: Arc<Host>,
    registry: Arc<Registry>,
    records: Arc<Records>,
    config: Arc<Config>,
    rules: Option<NetnsRules>,
    /// The follower of its connections, with the identity of the namespace it is in.
    following: Option<(NetnsCookie, Following)>,
    /// Tables of ours under names of before, which stay until the one of now is in force.
    superseded: BTreeSet<String>,
    /// The file behind the name when it was opened.
    file: Option<FileId>,
    /// The generation at which the rules were last seen in force.
    verified: Option<u32>,
    pending: Option<Pending>,
    not_before: Instant,
    schedule: Schedule,
    /// Where the schedule's clock began.
    began: Instant,
    tally: Tally,
    gaps: Gaps,
    /// The event socket broke: another one is due.
    deaf: bool,
}

impl Worker {
    /// A worker that has not looked at its namespace yet.
    pub fn new(
        name: NetnsName,
        host: Arc<Host>,
        registry: Arc<Registry>,
        records: Arc<Records>,
        config: Arc<Config>,
        arrival: Arrival,
    ) -> Self {
        if let Arrival::Later(since) = arrival {
            registry.exposed(&name, since);
        }
        let seed =
            name.as_str().bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        Self {
            name,
            host,
            registry,
            records,
            config,
            rules: None,
            following: None,
            superseded: BTreeSet::new(),
            file: None,
            verified: None,
            pending: Some(Pending::new(Cause::Start)),
            not_before: Instant::now(),
            schedule: Schedule::new(seed),
            began: Instant::now(),
            tally: Tally::default(),
            gaps: Gaps::new(arrival),
            deaf: false,
        }
    }

    /// Works until released, or until nobody can ask any more. Dropping the future closes the sockets.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            if self.pending.is_some() && Instant::now() >= self.not_before {
                self.pass().await;
            }
            let due = self.pending.is_some().then_some(self.not_before);
            tokio::select! {
                biased;
                changes = changes(self.rules.as_mut().filter(|_| !self.deaf), &self.config.rules.table) => self.noticed(changes),
                command = commands.recv() => match command {
                    None => return,
                    Some(command) => if self.obey(command).await.is_break() { return },
                },
                () = until(due) => {}
            }
        }
    }

    /// Opens the namespace if it is not open, and puts its rules in force.
    async fn pass(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        if let Err(error) = self.open().await {
            self.failed(pending, &error);
            return;
        }
        match self.enforce() {
            Ok(pass) => {
                self.enforced(pending, pass);
                self.remove_superseded();
                self.follow().await;
            }
            Err(error) => self.failed(pending, &error),
        }
    }

    async fn open(&mut self) -> anyhow::Result<()> {
        if self.rules.is_none() {
            self.file = self.host.file_id(&self.name);
            let mut rules = self.host.open(&self.name).await?;
            self.inherit(&mut rules);
            self.registry.opened(&self.name, rules.cookie());
            self.rules = Some(rules);
        } else if self.deaf
            && let Some(rules) = &mut self.rules
        {
            rules.hear_with(self.host.open_monitor(&self.name).await?)?;
        }
        self.deaf = false;
        Ok(())
    }

    /// Takes over the socket that the run before has left, for it may own the table.
    fn inherit(&self, rules: &mut NetnsRules) {
        let Some(fd) = self.registry.store().take(Use::Rules, rules.cookie()) else { return };
        let adopted = RulesSocket::adopt(fd).map_err(anyhow::Error::new);
        let adopted = adopted.and_then(|socket| Ok(rules.program_with(socket)?));
        if let Err(error) = adopted {
            tracing::warn!(netns = %self.name, error = %format_args!("{error:#}"), "the socket of the run before cannot be used");
            self.registry.store().forget(Use::Rules, rules.cookie());
        }
    }

    /// Keeps the socket that owns the table, and no other.
    fn store_rules(&self) {
        let Some(rules) = &self.rules else { return };
        match self.protection() {
            Protection::Stored => self.registry.store().keep(Use::Rules, rules.cookie(), rules),
            _ => self.registry.store().forget(Use::Rules, rules.cookie()),
        }
    }

    fn enforce(&mut self) -> anyhow::Result<anetcon_host::Pass> {
        let wanted =
            Table { flags: self.protection().flags(), ..desired::table(&self.config, &self.name)? };
        let rules = self.rules.as_mut().context("the namespace is not open")?;
        Ok(rules.enforce(&wanted)?)
    }

    /// What is to protect the table.
    fn protection(&self) -> Protection {
        self.config.rules.protect.protection(&self.name, self.registry.guarantees())
    }

    fn enforced(&mut self, mut pending: Pending, pass: anetcon_host::Pass) {
        self.verified = Some(pass.after.generation);
        self.registry.protected(&self.name, self.protection());
        self.store_rules();
        // The event that names the culprit ends its transaction, so it was queued before our batch was taken in.
        let overtaken = self.overtaken(&mut pending, pass.after.generation);
        if !overtaken {
            self.tally.observe(&pass.after.counters);
        }
        // What a reload replaces is no sign of somebody else.
        let outcome = match pass.drift.is_empty() || !pending.is_repair() {
            true => schedule::Pass::InForce,
            false => schedule::Pass::Repaired,
        };
        self.wait(outcome);
        self.report(&pending, &pass);
    }

    /// Reads the events up to now: authors of what was just repaired, and whether more has happened since. Then the
    /// dump just made does not go with the counters of removed rules any more, and the next one will.
    fn overtaken(&mut self, pending: &mut Pending, generation: u32) -> bool {
        let Some(rules) = self.rules.as_mut() else { return true };
        let Ok(changes) = rules.drain(&self.config.rules.table) else {
            self.hear_anew();
            return true;
        };
        let since = rules.generation().map_or(true, |now| now != generation);
        pending.add(&changes);
        self.tally.remove(&changes.removed);
        self.heard(&changes);
        let overtaken = since && (changes.touched || changes.lost);
        if overtaken {
            self.pending = Some(Pending::new(Cause::Event));
        }
        overtaken
    }

    /// An event came, or the event socket broke.
    fn noticed(&mut self, changes: Result<Changes, anetcon_host::Error>) {
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => {
                tracing::warn!(netns = %self.name, error = %format_args!("{:#}", anyhow::Error::new(error)), "event socket broke, opening another");
                return self.hear_anew();
            }
        };
        self.tally.remove(&changes.removed);
        self.heard(&changes);
        if changes.touched || changes.lost {
            let pending = self.pending.get_or_insert_with(|| Pending::new(Cause::Event));
            pending.add(&changes);
            if Instant::now() < self.not_before {
                let since = pending.since;
                self.registry.repairing(&self.name);
                self.held_back(since);
            }
        }
    }

    fn heard(&self, changes: &Changes) {
        if changes.lost {
            self.registry.facts().resynced(Resync::Overrun);
        }
    }

    /// The event socket broke. The other one stays: it may own the table, which would go with it.
    fn hear_anew(&mut self) {
        self.deaf = true;
        self.registry.facts().resynced(Resync::Socket);
        self.pending.get_or_insert_with(|| Pending::new(Cause::Event));
    }

    /// The name stands for another namespace now.
    fn reopen(&mut self) {
        if let Some(rules) = self.rules.take() {
            self.registry.let_go(rules.cookie());
        }
        self.pending.get_or_insert_with(|| Pending::new(Cause::Event));
    }

    fn wait(&mut self, outcome: schedule::Pass) {
        let now = Instant::now();
        self.not_before =
            now + self.schedule.after(outcome, now.saturating_duration_since(self.began));
    }

    async fn obey(&mut self, command: Command) -> ControlFlow<()> {
        match command {
            Command::Appeared(done) => {
                if self.rules.is_none() {
                    self.not_before = Instant::now();
                }
                self.sweep().await;
                answer(done, ());
            }
            Command::Sweep(done) => {
                self.sweep().await;
                answer(done, ());
            }
            Command::Refresh(done) => {
                self.demand(Cause::Sweep).await;
                answer(done, ());
            }
            Command::Configure(config, host, done) => {
                self.move_to(host).await;
                self.configure(config).await;
                answer(done, ());
            }
            Command::Inspect(done) => {
                let inspection = self.inspect().await;
                answer(done, inspection);
            }
            Command::Release(leave, done) => {
                let stays = match leave {
                    Leave::Nothing => false,
                    Leave::Stored => self.protection() == Protection::Stored,
                    Leave::Everything => true,
                };
                let released =
                    if stays && self.verified.is_some() { Ok(()) } else { self.release().await };
                answer(done, released);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Asks the kernel for its generation only: where that stands, nothing can have changed.
    async fn sweep(&mut self) {
        let file = self.host.file_id(&self.name);
        if self.rules.is_some() && file.is_some() && file != self.file {
            // Deleted and made again, and no event told: what we hold is the old one.
            self.reopen();
        }
        let generation = self.rules.as_mut().and_then(|rules| rules.generation().ok());
        // While slowed down it looks in any case: that is how it finds that the fight is over.
        let fighting = self.schedule.fighting();
        if self.verified.is_some() && generation == self.verified {
            self.gaps.in_force();
            self.registry.looked(&self.name);
        }
        if fighting || self.verified.is_none() || generation != self.verified {
            self.demand(Cause::Sweep).await;
        } else {
            self.follow().await;
        }
    }

    /// A pass now, unless this namespace is being held back.
    async fn demand(&mut self, cause: Cause) {
        self.pending.get_or_insert_with(|| Pending::new(cause));
        if Instant::now() >= self.not_before {
            self.pass().await;
        }
    }

    async fn configure(&mut self, config: Arc<Config>) {
        let old = std::mem::replace(&mut self.config, config);
        if old.rules.table != self.config.rules.table {
            // The new table is in force before the old one goes: a line twice rather than a line missing.
            self.count(&old.rules.table);
            self.superseded.insert(old.rules.table.clone());
            self.superseded.remove(&self.config.rules.table);
        }
        self.follow_otherwise(&old).await;
        self.pending = Some(Pending::new(Cause::Configure));
        // What kept this namespace failing may just have been mended.
        self.not_before = Instant::now();
        self.pass().await;
    }

    /// Takes over other folders. Where the name stands for another namespace in them, the one we leave loses our table.
    async fn move_to(&mut self, host: Arc<Host>) {
        if self.rules.is_some() && host.file_id(&self.name) != self.file {
            if let Err(error) = self.release().await {
                tracing::warn!(netns = %self.name, error = %format_args!("{error:#}"), "cannot remove our rules from the namespace in the old folder");
            }
            self.reopen();
        }
        self.host = host;
    }

    /// Takes in the counters of a table that is going to be replaced under another name.
    fn count(&mut self, table: &str) {
        // Without an answer the count is a little too low, as it is after a wipe.
        if let Some(Ok(observed)) = self.rules.as_mut().map(|rules| rules.observe(table)) {
            self.tally.observe(&observed.counters);
        }
    }

    fn remove_superseded(&mut self) {
        let Some(rules) = self.rules.as_mut() else { return };
        for table in std::mem::take(&mut self.superseded) {
            if let Err(error) = rules.remove(&table) {
                tracing::warn!(netns = %self.name, table, error = %format_args!("{:#}", anyhow::Error::new(error)), "cannot remove the table of the old name");
            }
        }
    }

    async fn inspect(&mut self) -> Inspection {
        let observed = match self.rules.as_mut() {
            Some(rules) => rules.observe(&self.config.rules.table).map_err(Into::into),
            None => Err(anyhow::anyhow!("the namespace is not open")),
        };
        let links = self.host.links(&self.name).await.map_err(Into::into);
        Inspection { observed, protection: self.protection(), links }
    }

    async fn release(&mut self) -> anyhow::Result<()> {
        match self.open().await {
            // Without a namespace there are no rules.
            Err(error) if error.downcast_ref().is_some_and(is_no_namespace) => return Ok(()),
            opened => opened?,
        }
        self.remove_superseded();
        if let Some(rules) = self.rules.as_mut() {
            rules.remove(&self.config.rules.table)?;
        }
        Ok(())
    }
}

fn is_no_namespace(error: &anetcon_host::Error) -> bool {
    error.is_gone() || error.is_not_ready()
}

/// Waits for changes; for ever while the namespace is not open.
async fn changes(
    rules: Option<&mut NetnsRules>,
    table: &str,
) -> Result<Changes, anetcon_host::Error> {
    match rules {
        Some(rules) => rules.changes(table).await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Answers, if whoever asked has not given up meanwhile.
pub fn answer<T>(to: oneshot::Sender<T>, what: T) {
    let _ = to.send(what);
}
