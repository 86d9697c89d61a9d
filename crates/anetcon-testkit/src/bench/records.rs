//! What capture costs: the highest rate without loss, CPU against ulogd2, repairs meanwhile, a reader that stands still.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;

use anetcon_api::Status;
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::flood::{self, Flood, Load, Sent};
use super::repair;
use super::stage::{Stage, cpu_seconds, machine};
use super::statistics::Sorted;
use super::table::{if_measured, table, thousands, verdict};
use super::ulogd::Ulogd;
use crate::agent::Agent;
use crate::configuration::Configuration;
use crate::ruleset;
use crate::topology::Router;

/// How long one run sends; a run also ends when the table of connections is nearly full.
const TIME: Duration = Duration::from_secs(3);

/// A listener has written what it has when its file stands still for so long; the agent writes at least once a second.
const QUIET: Duration = Duration::from_millis(1300);

/// The reader's stall, and the load meanwhile.
const STALL: Duration = Duration::from_millis(1500);
const STALL_RATE: u32 = 5000;
const STALL_TIME: Duration = Duration::from_secs(4);

/// How thoroughly it is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Runs of each kind.
    pub(super) runs: u32,
    /// Connections of one run at most; the table of connections is a limit, too.
    pub(super) connections: u64,
    /// Only how fast a wiped table is back.
    pub(super) only_repairs: bool,
}

impl Plan {
    pub(super) fn most(self, table: u64) -> u64 {
        self.connections.min(table)
    }
}

/// One run of a listener under load.
#[derive(Debug)]
struct Run {
    sent: Sent,
    /// New connections that the rules counted in the kernel.
    counted: u64,
    /// Different connections on record.
    recorded: u64,
    /// Records beyond that.
    repeated: u64,
    cpu: f64,
    /// What the agent says of itself.
    status: Option<Status>,
}

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listener {
    Agent,
    Ulogd,
}

pub(super) fn run(stage: &Stage, binaries: &Path, plan: Plan) -> Result<()> {
    println!("bench records: what it costs to put connections on record\n");
    println!("machine: {}", machine());
    println!(
        "load: SYNs from raw sockets through a router with source NAT; nobody answers, each is a new connection.\n\
         Everything runs on these cores: generator, router, listener. The rules count and log in every run; the\n\
         agent leaves kernel lines to rsyslog here, which is not running. Each run has a new router.\n"
    );
    let anetcond = binaries.join("anetcond");
    if !plan.only_repairs {
        listeners(stage, &anetcond, plan)?;
        stalled(stage, &anetcond, plan)?;
    }
    repair::run(stage, &anetcond, plan)
}

/// The agent and ulogd2 under the same loads.
fn listeners(stage: &Stage, anetcond: &Path, plan: Plan) -> Result<()> {
    let unpaced = |threads| Load { threads, rate: None, time: TIME };
    let paced = |rate| Load { threads: 1, rate: Some(rate), time: TIME };

    let mut pairs = Vec::new();
    for (what, load) in [
        ("unpaced, 1 generator", unpaced(1)),
        ("unpaced, 2 generators", unpaced(2)),
        ("10,000/s", paced(10_000)),
    ] {
        let mut both = (Vec::new(), Vec::new());
        println!("measuring: {what}");
        for number in 0..plan.runs {
            // Who comes first changes, so that neither always has the warmer machine.
            let mut order = [Listener::Agent, Listener::Ulogd];
            order.rotate_left(number as usize % 2);
            for listener in order {
                let runs = if listener == Listener::Agent { &mut both.0 } else { &mut both.1 };
                runs.push(one(stage, anetcond, listener, load, plan)?);
            }
        }
        pairs.push((what, load, both));
    }
    capture(&pairs);
    cpu(&pairs);
    Ok(())
}

/// An agent that ends in good order, so that it sets the machine-wide sysctl back.
pub(super) struct Audit(Agent);

impl Deref for Audit {
    type Target = Agent;
    fn deref(&self) -> &Agent {
        &self.0
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The agent of a run: it audits these namespaces and nothing else.
pub(super) fn agent(anetcond: &Path, names: &[&str], records: bool) -> Audit {
    let configuration =
        Configuration { writer: "rsyslog".into(), records, ..Configuration::auditing(names) };
    let mut agent = Audit(Agent::prepared(anetcond, configuration));
    agent.0.start_again();
    let count = names.len() as u64;
    agent.wait_audited(count);
    if records {
        agent.wait_for_status("every namespace is followed", |status| {
            status.pointer("/records/namespaces").and_then(Value::as_u64) == Some(count)
        });
    }
    agent
}

fn one(stage: &Stage, anetcond: &Path, listener: Listener, load: Load, plan: Plan) -> Result<Run> {
    let (router, most) = flood::router()?;
    let agent = agent(anetcond, &[router.netns.name()], listener == Listener::Agent);
    let mut ulogd = match listener {
        Listener::Agent => None,
        Listener::Ulogd => Some(Ulogd::start(stage, &router.netns)?),
    };
    let (pid, file) = match &ulogd {
        Some(ulogd) => (ulogd.pid(), ulogd.file()),
        None => (agent.pid(), sessions(&agent)),
    };
    let before = cpu_seconds(pid)?;
    let sent = flooded(stage, &router, load, plan.most(most), || Ok(()))?;
    stage.wait_quiet(&file, QUIET)?;
    let cpu = cpu_seconds(pid)? - before;
    let status = match &mut ulogd {
        Some(ulogd) => ulogd.stop().map(|()| None)?,
        None => Some(serde_json::from_value(agent.status()).context("the status is not one")?),
    };
    let counted = counted(&router, &agent)?;
    let (lines, recorded) = connections(&file, listener)?;
    Ok(Run { sent, counted, recorded, repeated: lines - recorded, cpu, status })
}

fn flooded(
    stage: &Stage,
    router: &Router,
    load: Load,
    most: u64,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<Sent> {
    let flood = Flood::start(router, load, most)?;
    meanwhile()?;
    while !flood.is_over() {
        stage.pause(Duration::from_millis(20))?;
    }
    flood.finish(false)
}

pub(super) fn sessions(agent: &Agent) -> std::path::PathBuf {
    agent.folder().join("log/anetcon.sessions.ndjson")
}

/// What our rules counted, as nft reads it.
pub(super) fn counted(router: &Router, agent: &Agent) -> Result<u64> {
    let listing = ruleset::table(&router.netns, &agent.configuration().table);
    let listing = listing.context("the agent's table is gone")?;
    let items = listing.get("nftables").and_then(Value::as_array).context("nft lists nothing")?;
    let rules = items.iter().filter_map(|item| item.pointer("/rule/expr")?.as_array());
    let counters = rules.flatten().filter_map(|expr| expr.pointer("/counter/packets")?.as_u64());
    Ok(counters.sum())
}

/// Lines, and different connections among them: two are the same if all addresses and ports are.
fn connections(file: &Path, listener: Listener) -> Result<(u64, u64)> {
    let file = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let (mut lines, mut seen) = (0, HashSet::new());
    for line in BufReader::with_capacity(1 << 20, file).lines() {
        let line = line?;
        let tuple = tuple(&line, listener).with_context(|| format!("no record: {line}"))?;
        let mut hasher = DefaultHasher::new();
        tuple.hash(&mut hasher);
        seen.insert(hasher.finish());
        lines += 1;
    }
    Ok((lines, seen.len() as u64))
}

/// The parts of a line that hold all addresses and ports.
fn tuple(line: &str, listener: Listener) -> Option<[&str; 2]> {
    let part = |from, to| between(line, from, to);
    match listener {
        Listener::Agent => Some([part("\"source\":", "\"observer\":")?, ""]),
        Listener::Ulogd => {
            Some([part("\"orig.l4.sport\":", "\"orig.raw")?, part("\"src_ip\":", "}")?])
        }
    }
}

/// The part of a line from one mark to another.
fn between<'a>(line: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(from)?;
    Some(rest.split_once(to)?.0)
}

type Pair = (&'static str, Load, (Vec<Run>, Vec<Run>));

impl Run {
    fn rate(&self) -> f64 {
        self.counted as f64 / self.sent.took.as_secs_f64()
    }

    fn lost(&self) -> u64 {
        self.counted.saturating_sub(self.recorded)
    }

    fn cpu_per_100_000(&self) -> f64 {
        self.cpu * 100_000.0 / self.recorded as f64
    }
}

/// Rates and losses of every run.
fn capture(pairs: &[Pair]) {
    println!("\n1. Rate and loss (rate = connections that the rules counted, a second)\n");
    let mut rows = Vec::new();
    let mut lost = 0;
    for (what, _, (ours, theirs)) in pairs {
        for (who, runs) in [("anetcon", ours), ("ulogd2", theirs)] {
            for run in runs {
                let status = run.status.as_ref().map(|status| &status.records);
                let told = status.map_or("-".to_owned(), |records| {
                    (records.dropped + records.unwritten).to_string()
                });
                rows.push([
                    format!("{who}, {what}"),
                    thousands(run.rate() as u64),
                    thousands(run.sent.packets),
                    thousands(run.counted),
                    thousands(run.recorded),
                    thousands(run.repeated),
                    thousands(run.lost()),
                    status.map_or("-".to_owned(), |records| records.overruns.to_string()),
                    told,
                ]);
            }
        }
        lost += ours.iter().map(Run::lost).sum::<u64>();
    }
    let head = ["", "rate", "sent", "counted", "on record", "twice", "lost", "overruns", "dropped"];
    println!("{}", table(head, &rows));
    let highest =
        pairs.iter().flat_map(|(_, _, (ours, _))| ours).map(Run::rate).fold(0.0, f64::max);
    let reached = format!("{} lost, highest rate {}/s", thousands(lost), thousands(highest as u64));
    println!("{}", verdict(Some(lost == 0), "no loss at the highest rate", &reached));
}

/// CPU of the listeners' processes.
fn cpu(pairs: &[Pair]) {
    println!("2. CPU seconds of the listener for 100,000 records (user + system, medians)\n");
    let mut rows = Vec::new();
    let mut worst = f64::NEG_INFINITY;
    for (what, load, (ours, theirs)) in pairs {
        let costs = |runs: &[Run]| -> Sorted { runs.iter().map(Run::cpu_per_100_000).collect() };
        let each = ours.iter().zip(theirs);
        let ratios: Sorted =
            each.map(|(our, their)| our.cpu_per_100_000() / their.cpu_per_100_000()).collect();
        let (our, their) = (costs(ours), costs(theirs));
        rows.push([
            (*what).to_owned(),
            format!("{:.2}", our.median()),
            format!("{:.2}", their.median()),
            format!("{:.2}", ratios.median()),
            format!("{:.2} to {:.2}", ratios.least(), ratios.greatest()),
        ]);
        if load.rate.is_none() {
            worst = worst.max(ratios.median());
        }
    }
    println!("{}", table(["", "anetcon", "ulogd2", "ratio", "of single pairs"], &rows));
    let target = "at most half of ulogd2's at the highest rate";
    println!(
        "{}",
        verdict(
            if_measured(worst, |worst| worst <= 0.5),
            target,
            &format!("worst median ratio {worst:.2}")
        )
    );
}

/// The agent stands still while connections go on.
fn stalled(stage: &Stage, anetcond: &Path, plan: Plan) -> Result<()> {
    println!(
        "3. The reader stands still for {STALL:?} at {} connections a second\n",
        thousands(STALL_RATE.into())
    );
    let load = Load { threads: 1, rate: Some(STALL_RATE), time: STALL_TIME };
    let mut rows = Vec::new();
    let mut lost = 0;
    for number in 1..=plan.runs {
        let (router, most) = flood::router()?;
        let agent = agent(anetcond, &[router.netns.name()], true);
        let sent = flooded(stage, &router, load, plan.most(most), || {
            stage.pause(Duration::from_secs(1))?;
            agent.signal(Signal::SIGSTOP);
            let paused = stage.pause(STALL);
            agent.signal(Signal::SIGCONT);
            paused
        })?;
        stage.wait_quiet(&sessions(&agent), QUIET)?;
        let counted = counted(&router, &agent)?;
        let (_, recorded) = connections(&sessions(&agent), Listener::Agent)?;
        let status: Status = serde_json::from_value(agent.status())?;
        lost += counted.saturating_sub(recorded);
        rows.push([
            format!("run {number}"),
            thousands((counted as f64 / sent.took.as_secs_f64()) as u64),
            thousands(counted),
            thousands(recorded),
            thousands(counted.saturating_sub(recorded)),
            status.records.overruns.to_string(),
        ]);
    }
    println!("{}", table(["", "rate", "counted", "on record", "lost", "overruns"], &rows));
    println!("{}", verdict(Some(lost == 0), "nothing lost", &format!("{} lost", thousands(lost))));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_told_apart_by_their_tuples() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        let line = |number, port| {
            format!("{{\"source\":{{\"port\":{port}}},\"observer\":{{}},\"seq\":{number}}}\n")
        };
        std::fs::write(&file, line(1, 7) + &line(2, 8) + &line(3, 7)).unwrap();
        assert_eq!(connections(&file, Listener::Agent).unwrap(), (3, 2));
        std::fs::write(&file, "{\"torn\n").unwrap();
        assert!(connections(&file, Listener::Agent).is_err());
    }
}
