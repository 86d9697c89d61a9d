//! Connections that a dump found open and that memory does not know: older files are asked before they are written.
//!
//! The search has a thread of its own, `anetcon-history`, for there may be weeks of records; what is opened meanwhile is
//! written at once. Each connection waits in here until it was looked for; how many there are, the kernel's table of
//! connections limits.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::history::Wanted;
use super::known::{Key, Noted};
use super::log::{Shared, Waiting};

/// A connection, waiting.
#[derive(Debug)]
pub(crate) struct Doubt {
    pub(crate) waiting: Waiting,
    /// By both ends and by one, as [`fate`](super::writer) asks.
    pub(crate) keys: [Key; 2],
}

/// What the search gave.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// On record, and since when.
    pub(crate) found: HashMap<Key, Noted>,
    /// All that were looked for.
    pub(crate) doubts: Vec<Doubt>,
}

/// Those that wait.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    gathered: HashMap<Key, Doubt>,
    asked: HashMap<Key, Doubt>,
    search: Option<Search>,
}

#[derive(Debug)]
struct Search {
    answer: Receiver<HashMap<Key, Noted>>,
    stop: Arc<AtomicBool>,
}

impl Doubts {
    /// Whether this connection waits already.
    pub(crate) fn has(&self, [key, _]: [Key; 2]) -> bool {
        self.gathered.contains_key(&key) || self.asked.contains_key(&key)
    }

    pub(crate) fn add(&mut self, doubt: Doubt) {
        let [key, _] = doubt.keys;
        self.gathered.insert(key, doubt);
    }

    /// Begins to look for what was gathered, unless a search is running. `shared` is told when it is over.
    pub(crate) fn look(&mut self, live: PathBuf, boot_id: &str, shared: &Arc<Shared>) {
        if self.search.is_some() || self.gathered.is_empty() {
            return;
        }
        self.asked = std::mem::take(&mut self.gathered);
        let mut wanted = Wanted::new(boot_id);
        for doubt in self.asked.values() {
            wanted.add(doubt.waiting.event.flow.id, doubt.keys);
        }
        let (sender, answer) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, told) = (Arc::clone(shared), Arc::clone(&stop));
        // A thread that cannot be started drops the sender, and the answer is that nothing was found.
        let _ = thread::Builder::new().name("anetcon-history".into()).spawn(move || {
            // A folder that cannot be read holds no record that could be repeated.
            let found = wanted.search(&live, &told).unwrap_or_default();
            let _ = sender.send(found);
            shared.looked_up();
        });
        self.search = Some(Search { answer, stop });
    }

    /// What a search gave that is over.
    pub(crate) fn settled(&mut self) -> Option<Settled> {
        let found = match self.search.as_ref()?.answer.try_recv() {
            Ok(found) => found,
            Err(TryRecvError::Empty) => return None,
            Err(TryRecvError::Disconnected) => HashMap::new(),
        };
        Some(self.settle(found))
    }

    /// Waits for the search until then. After that it counts as over, and with it what was not looked for yet.
    pub(crate) fn settled_by(&mut self, until: Instant) -> Option<Settled> {
        let search = self.search.as_ref()?;
        let rest = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let found = search.answer.recv_timeout(rest).unwrap_or_default();
        search.stop.store(true, Ordering::Relaxed);
        Some(self.settle(found))
    }

    fn settle(&mut self, found: HashMap<Key, Noted>) -> Settled {
        self.search = None;
        let doubts = std::mem::take(&mut self.asked).into_values().collect();
        Settled { found, doubts }
    }
}
