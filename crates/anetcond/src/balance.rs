//! Compares, all the time, what the kernel counted with the lines it logged and the connections it told of.
//!
//! A round looks only at namespaces in which something moved, or is missing: their counters are read, a moment later what is told,
//! and then the counters again. Where nothing moves at all, not even what is told, a slow turn finds it. When a difference is a loss is decided in the core.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anetcon_core::balance::{Balance, Unaccounted};
use anetcon_core::config::Config;
use anetcon_core::ledger::{Cause, Channel};
use anetcon_core::netns::{NetnsCookie, NetnsName};
use anetcon_core::prefix::{NamespaceTag, NetnsHash};
use anetcon_records::counters::Lines;
use tokio::time::{interval, sleep};

use crate::agent::Agent;
use crate::ledger::{BOTH, Of, missing, wall};
use crate::registry::Counted;

/// How often.
const ROUND: Duration = Duration::from_secs(2);

/// Rounds after which every namespace is looked at, whether something moved or not.
const SLOW: u64 = 150;

/// How long after counting what is told is read: a line takes milliseconds to be read.
const LAG: Duration = Duration::from_millis(50);

/// Float, nat.
type Kinds = [u64; 2];

/// The accounts of one namespace.
#[derive(Debug, Default)]
struct Account {
    cookie: Option<NetnsCookie>,
    /// By channel, as in [`BOTH`], and kind.
    balances: [[Balance; 2]; 2],
    /// What was told when it was looked at last, by channel.
    told: [Kinds; 2],
    /// Nothing moved between the last two looks.
    quiet: bool,
    overruns: u64,
}

/// What makes differences that are known otherwise.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    config: Arc<Config>,
    lost: u64,
    nf_log: bool,
}

/// Compares as long as the agent runs.
pub async fn run(agent: Arc<Agent>) {
    let (mut accounts, began) = (BTreeMap::new(), Instant::now());
    let mut known = known(&agent);
    let mut rounds = interval(ROUND);
    for round in 0.. {
        rounds.tick().await;
        let lines = agent.capture().lines();
        let due: Vec<NetnsName> = agent
            .registry()
            .counted()
            .into_iter()
            .filter(|counted| {
                round % SLOW == 0 || is_due(counted, &known.config, &lines, &accounts)
            })
            .map(|counted| counted.name)
            .collect();
        accounts.retain(|name, _| agent.registry().namespace(name).is_some());
        if due.is_empty() || agent.refresh_some(due.clone()).await.is_none() {
            continue;
        }
        let before = counted(&agent);
        sleep(LAG).await;
        let now = self::known(&agent);
        let explained = now != known;
        known = now;
        let lines = agent.capture().lines();
        let told: Vec<_> = due
            .into_iter()
            .filter_map(|name| {
                let counted = before.get(&name)?;
                let told = [told_lines(counted, &known.config, &lines), Some(counted.records())];
                Some((name, told))
            })
            .collect();
        let names = told.iter().map(|(name, _)| name.clone()).collect();
        if agent.refresh_some(names).await.is_none() {
            continue;
        }
        let after = counted(&agent);
        for (name, told) in told {
            let (Some(before), Some(after)) = (before.get(&name), after.get(&name)) else {
                continue;
            };
            let account = accounts.entry(name).or_default();
            account.prepare(after, explained || !known.nf_log);
            look(&agent, account, (before, after), told, began);
        }
    }
}

fn counted(agent: &Agent) -> HashMap<NetnsName, Counted> {
    agent.registry().counted().into_iter().map(|one| (one.name.clone(), one)).collect()
}

fn known(agent: &Agent) -> Known {
    let (config, nf_log) = (agent.in_force().config, agent.registry().nf_log().ok);
    Known { config, lost: agent.capture().lost(), nf_log }
}

fn is_due(
    counted: &Counted,
    config: &Config,
    lines: &Lines,
    accounts: &BTreeMap<NetnsName, Account>,
) -> bool {
    let Some(account) = accounts.get(&counted.name) else { return true };
    let open = account.balances.iter().flatten().any(Balance::is_open);
    let lines = told_lines(counted, config, lines).unwrap_or_default();
    open || !account.quiet || account.told != [lines, counted.records()]
}

/// The lines of a namespace; `None` where they do not say whose they are, or nobody reads them.
fn told_lines(counted: &Counted, config: &Config, lines: &Lines) -> Option<Kinds> {
    let tag = match config.log.prefixes.namespace {
        NamespaceTag::Hash => NetnsHash::of(&counted.name).to_string(),
        NamespaceTag::Name => counted.name.to_string(),
        NamespaceTag::None => return None,
    };
    Some(lines.get(&tag).copied().unwrap_or_default())
}

impl Account {
    /// Begins anew where the namespace is another one, or what is missing is known otherwise.
    fn prepare(&mut self, counted: &Counted, explained: bool) {
        if self.cookie != counted.cookie || explained {
            self.balances.iter_mut().flatten().for_each(Balance::begin_anew);
        }
        if self.overruns != counted.overruns {
            let [_, records] = &mut self.balances;
            records.iter_mut().for_each(Balance::begin_anew);
        }
        (self.cookie, self.overruns) = (counted.cookie, counted.overruns);
    }
}

fn look(
    agent: &Agent,
    account: &mut Account,
    (before, counted): (&Counted, &Counted),
    told: [Option<Kinds>; 2],
    began: Instant,
) {
    let (now, last) = (began.elapsed(), account.told);
    for ((channel, balances), told) in BOTH.into_iter().zip(&mut account.balances).zip(told) {
        let used = match channel {
            Channel::KernelLog => agent.capture().reads(),
            Channel::Records => counted.following,
        };
        let Some(told) = told.filter(|_| used) else { continue };
        let counts = before.connections.into_iter().zip(counted.connections);
        for ((balance, (before, after)), told) in balances.iter_mut().zip(counts).zip(told) {
            if let Some(unaccounted) = balance.observe([before, after], told, now) {
                tell(agent, counted, channel, unaccounted, began);
            }
        }
        match channel {
            Channel::KernelLog => account.told[0] = told,
            Channel::Records => account.told[1] = told,
        }
    }
    account.quiet = account.told == last;
    agent.registry().balanced(&counted.name, account.told);
}

fn tell(agent: &Agent, counted: &Counted, channel: Channel, lost: Unaccounted, began: Instant) {
    let Unaccounted { missing: count, since } = lost;
    let from = wall(began.checked_add(since).unwrap_or(began));
    let why = format!("{count} connections that the kernel counted are missing in the {channel}");
    tracing::error!(netns = %counted.name, "{why}");
    let of = Of { name: &counted.name, cookie: counted.cookie };
    let facts = anetcon_records::ledger::Facts {
        reasons: vec![why],
        lost: Some(count),
        ..missing(&[channel])
    };
    agent.registry().ledger().gap(of, Cause::Unaccounted, from, jiff::Timestamp::now(), facts);
    agent.registry().unaccounted(&counted.name, channel, count);
}
