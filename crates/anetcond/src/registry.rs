//! What is known of every selected namespace, and the news of it: workers write here, the control socket reads.
//!
//! No decision is taken from what stands here; the truth is in the kernel.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anetcon_api::{
    Author, Connections, Event, FailedNamespace, Happening, Namespace, NamespaceCounts,
    NamespaceRecords, NamespaceState, NfLogAllNetns, Repair, Repairs, Schema,
};
use anetcon_core::netns::{NetnsCookie, NetnsName};
use anetcon_core::prefix::{Kind, NetnsHash};
use anetcon_core::tally::Tally;
use tokio::sync::broadcast;

use crate::clock;

/// How many repairs `status` shows.
const LAST_REPAIRS: usize = 10;

/// How many events a slow watcher may be behind before it misses some.
const EVENT_BACKLOG: usize = 4096;

/// The one place where the state of all namespaces can be read.
#[derive(Debug)]
pub struct Registry {
    known: Mutex<Known>,
    events: broadcast::Sender<Event>,
}

#[derive(Debug)]
struct Known {
    namespaces: BTreeMap<NetnsName, Entry>,
    repairs: VecDeque<Repair>,
    repairs_total: u64,
    /// Connections of namespaces that are gone, so that totals never fall.
    gone: Connections,
    nf_log: NfLogAllNetns,
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
    records: NamespaceRecords,
}

impl Registry {
    /// A registry that knows nothing yet.
    pub fn new() -> Self {
        let unread =
            NfLogAllNetns { value: None, ok: false, set_by_us: false, resets: 0, error: None };
        let known = Known {
            namespaces: BTreeMap::new(),
            repairs: VecDeque::new(),
            repairs_total: 0,
            gone: Connections::default(),
            nf_log: unread,
        };
        Self { known: Mutex::new(known), events: broadcast::Sender::new(EVENT_BACKLOG) }
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
        self.known().namespaces.insert(name.clone(), Entry::new());
        self.publish(Some(name), Happening::Appeared);
    }

    /// A namespace is gone, or is no longer selected.
    pub fn vanished(&self, name: &NetnsName) {
        {
            let mut known = self.known();
            if let Some(entry) = known.namespaces.remove(name) {
                known.gone = sum(known.gone, entry.connections());
            }
        }
        self.publish(Some(name), Happening::Vanished);
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
    fn new() -> Self {
        Self {
            cookie: None,
            state: NamespaceState::Waiting,
            since: clock::now(),
            tally: Tally::default(),
            repairs: 0,
            last_repair: None,
            error: None,
            fighting: false,
            records: NamespaceRecords::default(),
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
            records: self.records.clone(),
        }
    }
}

fn sum(left: Connections, right: Connections) -> Connections {
    Connections { float: left.float + right.float, nat: left.nat + right.nat }
}

/// The kernel's authors in the control socket's words.
pub fn authors(authors: &[anetcon_host::Author]) -> Vec<Author> {
    authors.iter().map(|author| Author { name: author.name.clone(), tid: author.tid }).collect()
}
