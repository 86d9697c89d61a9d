//! How fast a wiped table is back, with and without a load of new connections.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use super::flood::{self, Flood, Load};
use super::records::{self, Plan};
use super::stage::Stage;
use super::statistics::Sorted;
use super::table::{if_measured, table, thousands, verdict};
use super::wiper::Wiper;
use crate::netns::Netns;

/// Namespaces besides the router. They are many because the agent slows down whoever undoes its work again and again
/// in one of them: from the 20th time on.
const NAMESPACES: usize = 15;
/// Wipes of each namespace in a phase; the first installation counts as one, too.
const WIPES: usize = 14;
/// The load runs so long before the first wipe.
const LEAD: Duration = Duration::from_millis(300);
/// Between two wipes.
const PAUSE: Duration = Duration::from_millis(2);
/// Longer than all wipes take.
const LONG: Duration = Duration::from_secs(30);

/// A load by its name; the first one is what the others are compared with.
const LOADS: [(&str, Option<Load>); 3] = [
    ("none", None),
    ("5,000/s", Some(Load { threads: 1, rate: Some(5000), time: LONG })),
    ("unpaced", Some(Load { threads: 1, rate: None, time: LONG })),
];

/// Latencies of one load over all runs, in milliseconds.
#[derive(Debug, Default)]
struct Phase {
    /// In namespaces that have no traffic.
    others: Vec<f64>,
    /// In the router that has the load.
    router: Vec<f64>,
    sent: f64,
    seconds: f64,
}

pub(super) fn run(stage: &Stage, anetcond: &Path, plan: Plan) -> Result<()> {
    println!(
        "4. A wiped table is back after ... ms: from before the request to delete it until the kernel tells that the\n\
         transaction that made it again is in force. {} namespaces in turn, one of them the router with the load.\n\
         The thread that measures has real-time priority, so that it does not wait for a processor itself.\n",
        NAMESPACES + 1
    );
    let mut phases: [Phase; LOADS.len()] = Default::default();
    for _ in 0..plan.runs {
        for ((_, load), phase) in LOADS.iter().zip(&mut phases) {
            measure(stage, anetcond, *load, plan, phase)?;
        }
    }
    let mut rows = Vec::new();
    let quiet = phases.first().map(Phase::all).unwrap_or_default();
    let mut ratio = f64::NAN;
    for ((what, _), phase) in LOADS.iter().zip(&phases) {
        let all = phase.all();
        let router: Sorted = phase.router.iter().copied().collect();
        ratio = all.percentile(99) / quiet.percentile(99);
        rows.push([
            (*what).to_owned(),
            if phase.sent > 0.0 {
                thousands((phase.sent / phase.seconds) as u64)
            } else {
                "-".into()
            },
            all.count().to_string(),
            format!("{:.2}", all.percentile(50)),
            format!("{:.2}", all.percentile(99)),
            format!("{:.2}", all.greatest()),
            format!("{:.2}", all.percentile(50) / quiet.percentile(50)),
            format!("{ratio:.2}"),
            format!("{:.2}", router.percentile(50)),
            format!("{:.2}", router.percentile(99)),
        ]);
    }
    let head = [
        "load",
        "sent/s",
        "wipes",
        "p50",
        "p99",
        "longest",
        "ratio p50",
        "ratio p99",
        "router p50",
        "router p99",
    ];
    println!("{}", table(head, &rows));
    let reached = format!("{ratio:.2}x unpaced");
    println!(
        "{}",
        verdict(
            if_measured(ratio, |ratio| ratio <= 2.0),
            "p99 under load within 2x of p99 without",
            &reached
        )
    );
    Ok(())
}

impl Phase {
    fn all(&self) -> Sorted {
        self.others.iter().chain(&self.router).copied().collect()
    }
}

fn measure(
    stage: &Stage,
    anetcond: &Path,
    load: Option<Load>,
    plan: Plan,
    phase: &mut Phase,
) -> Result<()> {
    let (router, most) = flood::router()?;
    let others: Vec<Netns> = (0..NAMESPACES).map(|_| Netns::new("bench")).collect();
    let all: Vec<&Netns> = others.iter().chain([&router.netns]).collect();
    let names: Vec<&str> = all.iter().map(|netns| netns.name()).collect();
    let agent = records::agent(anetcond, &names, true);
    let wipers = all.iter().map(|netns| Wiper::open(netns, &agent.configuration().table));
    let wipers = wipers.collect::<Result<Vec<Wiper>>>()?;

    let flood = load.map(|load| Flood::start(&router, load, plan.most(most))).transpose()?;
    stage.pause(LEAD)?;
    let is_over = || flood.as_ref().is_some_and(Flood::is_over);
    // A thread of its own, which takes its priority with it: a generator started later must not inherit any of it.
    let wiped = thread::scope(|scope| {
        let watching = scope.spawn(|| wipe_in_turn(stage, &wipers, is_over, phase));
        watching.join().map_err(|_| anyhow!("the thread that measures panicked"))
    });
    wiped??;
    if let Some(flood) = flood {
        let sent = flood.finish(true)?;
        phase.sent += sent.packets as f64;
        phase.seconds += sent.took.as_secs_f64();
    }
    Ok(())
}

/// Wipes one namespace after the other until all wipes are made or the load is over: what is measured without it would
/// not count.
fn wipe_in_turn(
    stage: &Stage,
    wipers: &[Wiper],
    is_over: impl Fn() -> bool,
    phase: &mut Phase,
) -> Result<()> {
    before_others()?;
    for _ in 0..WIPES {
        for (number, wiper) in wipers.iter().enumerate() {
            if is_over() {
                return Ok(());
            }
            let took = wiper.wipe()?.as_secs_f64() * 1000.0;
            if number < NAMESPACES { &mut phase.others } else { &mut phase.router }.push(took);
            stage.pause(PAUSE)?;
        }
    }
    Ok(())
}

/// The calling thread does not wait for a processor any more: what it measured would be its own delay.
fn before_others() -> Result<()> {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy)
        .map_err(|error| anyhow!("no real-time priority for the thread that measures: {error:?}"))
}
