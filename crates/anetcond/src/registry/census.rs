//! The namespaces counted for metrics, without a copy of all that is known: workers wait for this lock.

use anetcon_api::{Connections, NamespaceState};

use super::{Entry, Registry};

/// How many namespaces stand how, and a few numbers of each where they are wanted.
#[derive(Debug, Default)]
pub struct Census {
    /// Failed, repairing, waiting, audited: as [`NamespaceState`] orders them.
    states: [u64; 4],
    /// In how many somebody keeps changing our rules.
    pub fighting: u64,
    /// Of how many the connections are being recorded.
    pub recorded: u64,
    /// Each of them, if it was wanted.
    pub each: Option<Vec<One>>,
}

/// One namespace.
#[derive(Debug)]
pub struct One {
    /// Its name.
    pub name: String,
    /// Whether its rules are in force.
    pub audited: bool,
    /// What they counted.
    pub connections: Connections,
    /// How often they were put back.
    pub repairs: u64,
}

impl Registry {
    /// Counts them; with numbers of each if `each`.
    pub fn census(&self, each: bool) -> Census {
        let known = self.known();
        let mut census = Census { each: each.then(Vec::new), ..Census::default() };
        for (name, entry) in &known.namespaces {
            census.count(entry);
            if let Some(each) = &mut census.each {
                each.push(One {
                    name: name.to_string(),
                    audited: entry.state == NamespaceState::Audited,
                    connections: entry.connections(),
                    repairs: entry.repairs,
                });
            }
        }
        census
    }
}

impl Census {
    /// How many are in this state.
    pub fn standing(&self, state: NamespaceState) -> u64 {
        self.states.get(state as usize).copied().unwrap_or(0)
    }

    fn count(&mut self, entry: &Entry) {
        if let Some(count) = self.states.get_mut(entry.state as usize) {
            *count += 1;
        }
        self.fighting += u64::from(entry.fighting);
        self.recorded += u64::from(entry.records.following);
    }
}
