//! What is known of every selected namespace, and the news of it: workers write here, the control socket reads. The gap
//! ledger, the manifest and the store of sockets are reached through it.
//!
//! No decision is taken from what stands here; the truth is in the kernel.

pub mod census;
mod exposed;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anetcon_api::{
    Author, Balance, Connections, Event, FailedNamespace, Happening, Namespace, NamespaceCounts,
    NamespaceRecords, NamespaceState, NfLogAllNetns, Protection, Repair, Repairs, Schema,
    Unaccounted,
};
use anetcon_core::exposure::Exposure;
use anetcon_core::ledger::Channel;
use anetcon_core::netns::{NetnsCookie, NetnsName};
use anetcon_core::prefix::{Kind, NetnsHash};
use anetcon_core::protect::{self, Guarantees};
use anetcon_core::tally::Tally;
use tokio::sync::broadcast;

use crate::clock;
use crate::ledger::Ledger;
use crate::manifest::Manifest;
use crate::metrics::Facts;
use crate::store::{Store, Use};

/// How many repairs `status` shows.
const LAST_REPAIRS: usize = 10;

/// How many events a slow watcher may be behind before it misses some.
const EVENT_BACKLOG: usize = 4096;

/// The one place where the state of all namespaces can be read.
#[derive(Debug)]
pub struct Registry {
    known: Mutex<Known>,
    events: broadcast::Sender<Event>,
    ledger: Ledger,
    guarantees: OnceLock<Guarantees>,
    store: Store,
    manifest: Manifest,
    facts: Facts,
}

#[derive(Debug)]
struct Known {
    namespaces: BTreeMap<NetnsName, Entry>,
    repairs: VecDeque<Repair>,
    repairs_total: u64,
    /// Connections of namespaces that are gone, so that totals never fall.
    gone: Connections,
    /// What was never told of them.
    gone_unaccounted: Unaccounted,
    /// For how long their rules were not in force.
    gone_unaudited: Duration,
    nf_log: NfLogAllNetns,
    nf_log_was_off: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    cookie: Option<NetnsCookie>,
    state: NamespaceState,
    since: String,
    tally: Tally,
    repairs: u64,
    last_repair: Option<String>,
    error: Option<String>,
    fighting: bool,
    protection: Protection,
    balance: Balance,
    /// New connections that connection tracking told of: float, nat.
    told: Arc<[AtomicU64; 2]>,
    records: NamespaceRecords,
    exposure: Exposure,
    /// When it was compared last, as time since the agent began.
    looked: Duration,
}

impl Registry {
    /// A registry that knows nothing yet.
    pub fn new(ledger: Ledger, store: Store, manifest: Manifest) -> Self {
        let unread =
            NfLogAllNetns { value: None, ok: false, set_by_us: false, resets: 0, error: None };
        let known = Known {
            namespaces: BTreeMap::new(),
            repairs: VecDeque::new(),
            repairs_total: 0,
            gone: Connections::default(),
            gone_unaccounted: Unaccounted::default(),
            gone_unaudited: Duration::ZERO,
            nf_log: unread,
            nf_log_was_off: false,
        };
        let events = broadcast::Sender::new(EVENT_BACKLOG);
        let (known, guarantees, facts) = (Mutex::new(known), OnceLock::new(), Facts::new());
        Self { known, events, ledger, guarantees, store, manifest, facts }
    }

    /// What lists rotated files.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where sockets are kept over a restart.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What can protect tables on this machine; said once, before there is any worker.
    pub fn can(&self, kernel: Guarantees) {
        let guarantees = Guarantees { store: self.store.keeps(), ..kernel };
        // Said twice it would be the same.
        let _ = self.guarantees.set(guarantees);
    }

    /// What can protect tables on this machine.
    pub fn guarantees(&self) -> Guarantees {
        self.guarantees.get().copied().unwrap_or_default()
    }

    /// Where gaps go.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Everything that happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Tells the watchers. Nobody watching is fine.
    pub fn publish(&self, namespace: Option<&NetnsName>, happening: Happening) {
        let event = Event {
            schema: Schema,
            time: clock::now(),
            namespace: namespace.map(ToString::to_string),
            happening,
        };
        // Fails only where nobody listens.
        drop(self.events.send(event));
    }

    /// A selected namespace was found.
    pub fn appeared(&self, name: &NetnsName) {
        let entry = Entry::new(self.facts.now());
        self.known().namespaces.insert(name.clone(), entry);
        self.publish(Some(name), Happening::Appeared);
    }

    /// A namespace is gone, or is no longer selected.
    pub fn vanished(&self, name: &NetnsName) {
        {
            let mut known = self.known();
            if let Some(entry) = known.namespaces.remove(name) {
                entry.cookie.into_iter().for_each(|cookie| self.let_go(cookie));
                known.gone = sum(known.gone, entry.connections());
                known.gone_unaccounted.lines += entry.balance.unaccounted_lines;
                known.gone_unaccounted.records += entry.balance.unaccounted_records;
                known.gone_unaudited += entry.exposure.total(self.facts.now());
            }
        }
        self.ledger.vanished(name);
        self.publish(Some(name), Happening::Vanished);
    }

    /// Nothing of ours keeps a namespace alive that is gone, or is another one now.
    pub fn let_go(&self, cookie: NetnsCookie) {
        self.store.forget(Use::Rules, cookie);
        self.store.forget(Use::Connections, cookie);
    }

    /// A namespace was opened.
    pub fn opened(&self, name: &NetnsName, cookie: NetnsCookie) {
        self.update(name, |entry| entry.cookie = Some(cookie));
    }

    /// The rules are in force, with these counts. How the namespace stood before, if otherwise.
    pub fn audited(&self, name: &NetnsName, tally: Tally) -> Option<NamespaceState> {
        self.update(name, |entry| {
            let before = entry.state;
            entry.tally = tally;
            entry.error = None;
            entry.enter(NamespaceState::Audited).then_some(before)
        })
        .flatten()
    }

    /// What protects the table of a namespace, which is in force.
    pub fn protected(&self, name: &NetnsName, protection: protect::Protection) {
        self.update(name, |entry| entry.protection = told(protection));
    }

    /// The rules differ and cannot be put back right now.
    pub fn repairing(&self, name: &NetnsName) {
        self.update(name, |entry| entry.enter(NamespaceState::Repairing));
    }

    /// An attempt failed. Whether this is news: another state or another error than before.
    pub fn failed(&self, name: &NetnsName, error: &str) -> bool {
        self.update(name, |entry| {
            let news = entry.error.as_deref() != Some(error);
            entry.error = Some(error.to_owned());
            entry.enter(NamespaceState::Failed) || news
        })
        .unwrap_or(false)
    }

    /// Whether repairs are slowed down. Whether that is news.
    pub fn fighting(&self, name: &NetnsName, fighting: bool) -> bool {
        self.update(name, |entry| std::mem::replace(&mut entry.fighting, fighting) != fighting)
            .unwrap_or(false)
    }

    /// How the records of a namespace go.
    pub fn set_records(&self, name: &NetnsName, records: NamespaceRecords) {
        self.update(name, |entry| entry.records = records);
    }

    /// Where the connections are counted that connection tracking tells of, of one namespace.
    pub fn told(&self, name: &NetnsName) -> Option<Arc<[AtomicU64; 2]>> {
        self.update(name, |entry| Arc::clone(&entry.told))
    }

    /// What is counted of each namespace that is audited.
    pub fn counted(&self) -> Vec<Counted> {
        let known = self.known();
        let audited =
            known.namespaces.iter().filter(|(_, entry)| entry.state == NamespaceState::Audited);
        audited.map(|(name, entry)| entry.counted(name)).collect()
    }

    /// What was told of a namespace's connections: lines, then records.
    pub fn balanced(&self, name: &NetnsName, [lines, records]: [[u64; 2]; 2]) {
        let connections = |[float, nat]: [u64; 2]| Connections { float, nat };
        self.update(name, |entry| {
            entry.balance.lines = connections(lines);
            entry.balance.records = connections(records);
        });
    }

    /// Connections were never told of.
    pub fn unaccounted(&self, name: &NetnsName, channel: Channel, count: u64) {
        self.update(name, |entry| match channel {
            Channel::KernelLog => entry.balance.unaccounted_lines += count,
            Channel::Records => entry.balance.unaccounted_records += count,
        });
    }

    /// What was never told of, those that are gone included.
    pub fn all_unaccounted(&self) -> Unaccounted {
        let known = self.known();
        let each = known.namespaces.values().map(|entry| entry.balance);
        each.fold(known.gone_unaccounted, |sum, balance| Unaccounted {
            lines: sum.lines + balance.unaccounted_lines,
            records: sum.records + balance.unaccounted_records,
        })
    }

    /// How the records of every namespace go.
    pub fn records(&self) -> Vec<NamespaceRecords> {
        self.known().namespaces.values().map(|entry| entry.records.clone()).collect()
    }

    /// Rules were put back.
    pub fn repaired(&self, name: &NetnsName, repair: Repair) {
        self.update(name, |entry| {
            entry.repairs += 1;
            entry.last_repair = Some(repair.time.clone());
        });
        let mut known = self.known();
        known.repairs_total += 1;
        known.repairs.truncate(LAST_REPAIRS - 1);
        known.repairs.push_front(repair);
    }

    /// net.netfilter.nf_log_all_netns was not 1 when we came.
    pub fn found_nf_log_off(&self) {
        self.known().nf_log_was_off = true;
    }

    /// Whether net.netfilter.nf_log_all_netns was not 1 when we came.
    pub fn nf_log_was_off(&self) -> bool {
        self.known().nf_log_was_off
    }

    /// What is known of net.netfilter.nf_log_all_netns.
    pub fn set_nf_log(&self, state: NfLogAllNetns) {
        self.known().nf_log = state;
    }

    /// As last set by [`set_nf_log`](Self::set_nf_log).
    pub fn nf_log(&self) -> NfLogAllNetns {
        self.known().nf_log.clone()
    }

    /// Every selected namespace, by name.
    pub fn namespaces(&self) -> Vec<Namespace> {
        let known = self.known();
        known.namespaces.iter().map(|(name, entry)| entry.describe(name)).collect()
    }

    /// One of them.
    pub fn namespace(&self, name: &NetnsName) -> Option<Namespace> {
        self.known().namespaces.get(name).map(|entry| entry.describe(name))
    }

    /// How many stand how.
    pub fn counts(&self) -> NamespaceCounts {
        let known = self.known();
        let count = |test: fn(&Entry) -> bool| {
            known.namespaces.values().filter(|entry| test(entry)).count() as u64
        };
        NamespaceCounts {
            selected: count(|_| true),
            audited: count(|entry| entry.state == NamespaceState::Audited),
            failed: count(|entry| entry.state == NamespaceState::Failed),
            fighting: count(|entry| entry.fighting),
        }
    }

    /// Those that are not audited.
    pub fn not_audited(&self) -> Vec<FailedNamespace> {
        let known = self.known();
        known
            .namespaces
            .iter()
            .filter(|(_, entry)| entry.state != NamespaceState::Audited)
            .map(|(name, entry)| FailedNamespace {
                name: name.to_string(),
                state: entry.state,
                error: entry.error.clone(),
                since: entry.since.clone(),
            })
            .collect()
    }

    /// The repairs so far.
    pub fn repairs(&self) -> Repairs {
        let known = self.known();
        Repairs { total: known.repairs_total, last: known.repairs.iter().cloned().collect() }
    }

    /// The connections of all namespaces, those that are gone included.
    pub fn connections(&self) -> Connections {
        let known = self.known();
        known.namespaces.values().map(Entry::connections).fold(known.gone, sum)
    }

    fn update<T>(&self, name: &NetnsName, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.known().namespaces.get_mut(name).map(change)
    }

    /// A panic elsewhere leaves plain values behind, never half-made ones: they stay readable.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn new(now: Duration) -> Self {
        Self {
            cookie: None,
            state: NamespaceState::Waiting,
            since: clock::now(),
            tally: Tally::default(),
            repairs: 0,
            last_repair: None,
            error: None,
            fighting: false,
            protection: Protection::Plain,
            balance: Balance::default(),
            told: Arc::default(),
            records: NamespaceRecords::default(),
            exposure: Exposure::default(),
            looked: now,
        }
    }

    /// Whether the state is another one now.
    fn enter(&mut self, state: NamespaceState) -> bool {
        let changed = self.state != state;
        if changed {
            self.state = state;
            self.since = clock::now();
        }
        changed
    }

    fn counted(&self, name: &NetnsName) -> Counted {
        Counted {
            name: name.clone(),
            cookie: self.cookie,
            connections: Kind::ALL.map(|kind| self.tally.total(kind)),
            told: Arc::clone(&self.told),
            following: self.records.following,
            overruns: self.records.overruns,
        }
    }

    fn connections(&self) -> Connections {
        Connections { float: self.tally.total(Kind::Float), nat: self.tally.total(Kind::Nat) }
    }

    fn describe(&self, name: &NetnsName) -> Namespace {
        Namespace {
            name: name.to_string(),
            hash: NetnsHash::of(name).to_string(),
            cookie: self.cookie.map(|cookie| cookie.to_string()),
            state: self.state,
            since: self.since.clone(),
            connections: self.connections(),
            repairs: self.repairs,
            last_repair: self.last_repair.clone(),
            error: self.error.clone(),
            fighting: self.fighting,
            protection: self.protection,
            balance: self.balance,
            records: self.records.clone(),
        }
    }
}

fn sum(left: Connections, right: Connections) -> Connections {
    Connections { float: left.float + right.float, nat: left.nat + right.nat }
}

/// What is counted of a namespace.
#[derive(Debug)]
pub struct Counted {
    /// Which one.
    pub name: NetnsName,
    /// Its identity.
    pub cookie: Option<NetnsCookie>,
    /// What its rules counted: float, nat.
    pub connections: [u64; 2],
    told: Arc<[AtomicU64; 2]>,
    /// Whether its connections are being recorded.
    pub following: bool,
    /// How often the kernel's buffer for it ran over.
    pub overruns: u64,
}

impl Counted {
    /// What connection tracking told of, now: float, nat.
    pub fn records(&self) -> [u64; 2] {
        let [float, nat] = &*self.told;
        [float.load(Ordering::Relaxed), nat.load(Ordering::Relaxed)]
    }
}

/// In the control socket's words.
pub fn told(protection: protect::Protection) -> Protection {
    match protection {
        protect::Protection::Plain => Protection::Plain,
        protect::Protection::Owned => Protection::Owned,
        protect::Protection::Persistent => Protection::Persistent,
        protect::Protection::Stored => Protection::Stored,
    }
}

/// The kernel's authors in the control socket's words.
pub fn authors(authors: &[anetcon_host::Author]) -> Vec<Author> {
    authors.iter().map(|author| Author { name: author.name.clone(), tid: author.tid }).collect()
}
