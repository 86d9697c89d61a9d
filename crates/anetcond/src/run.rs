//! Starts the planes, attends to signals, ends the planes.
//!
//! The rule plane has a runtime of its own, so that neither a flood of control requests nor of log lines
//! delays a repair; the capture plane is a plain thread.

use std::sync::Arc;
use std::time::Duration;

use anetcon_core::config::Config;
use anetcon_host::Host;
use anetcon_netns::Watcher;
use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{interval, timeout};

use crate::agent::{Agent, Planes, ReloadError};
use crate::args::Args;
use crate::capture::Capture;
use crate::control::Control;
use crate::exposition::Exposition;
use crate::ledger::Ledger;
use crate::manifest::Manifest;
use crate::records::Records;
use crate::registry::Registry;
use crate::settings::{Loaded, Source};
use crate::store::Store;
use crate::supervisor::{Order, Supervisor};
use crate::worker::Leave;
use crate::{balance, limits, logging, manager, nf_log, notify, priority};

/// Threads of the rule plane. A batch can block for 20 ms behind a wiper that exits (the kernel's commit lock), so
/// there are more than cores.
const RULE_THREADS: usize = 4;

/// Threads that read connection events. They never wait but for events.
const CONNECTION_THREADS: usize = 2;

/// Orders that may wait for the supervisor.
const ORDERS: usize = 64;

/// How often the rule plane proves that it turns when no service manager asks for it.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How often the line in `systemctl status` is brought up to date.
const SUMMARY: Duration = Duration::from_secs(10);

/// How long letting go of every namespace may take at the end.
const STOP_TIME: Duration = Duration::from_secs(10);

/// Runs the agent until SIGTERM or SIGINT.
pub fn run(args: &Args, source: Source, loaded: Loaded) -> anyhow::Result<()> {
    let journal = std::env::var("JOURNAL_STREAM").ok();
    let verbosity =
        logging::start(loaded.config.debug, args.log_file.as_deref(), journal.as_deref())?;
    if let Some(notice) = loaded.notice() {
        tracing::warn!("{notice}");
    }
    limits::raise_open_files();
    let store = Store::open();
    let rules = runtime("anetcon-rules", RULE_THREADS, priority::before_others)?;
    let connections = runtime("anetcon-ct", CONNECTION_THREADS, || ())?;
    let control = runtime("anetcon-control", 2, || ())?;
    let result = control.block_on(start(&rules, &connections, source, loaded, (verbosity, store)));
    if let Err(error) = &result {
        tracing::error!(error = %format_args!("{error:#}"), "the agent ends");
    }
    // A thread that hangs in the kernel must not keep us from ending.
    rules.shutdown_timeout(Duration::from_secs(1));
    connections.shutdown_timeout(Duration::from_secs(1));
    control.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn start(
    rules: &Runtime,
    connections: &Runtime,
    source: Source,
    loaded: Loaded,
    (verbosity, store): (logging::Verbosity, Store),
) -> anyhow::Result<()> {
    let config = Arc::new(loaded.config.clone());
    // Bound first: it refuses to run beside another agent with the same socket, before anything is touched.
    let control = Control::bind(&config.control.socket).await?;
    let exposition = Exposition::bind(&config).await?;
    let signals = Signals::new()?;
    let (ledger, manifest) = (Ledger::start(&config), Manifest::start(&config));
    let registry = Arc::new(Registry::new(ledger, store, manifest));
    let nf_log = nf_log::Keeper::start(Arc::clone(&registry));
    let capture = Capture::start(&config, Arc::clone(&registry));
    let records = Records::start(connections.handle().clone(), &config, Arc::clone(&registry));
    let (orders, inbox) = mpsc::channel(ORDERS);
    let shared = (Arc::clone(&registry), Arc::clone(&records));
    let plane = RulePlane::start(rules, config, shared, inbox)?;
    let planes = Planes { registry, orders, capture, records, exposition };
    let agent = Arc::new(Agent::new(source, loaded, planes, verbosity));
    agent.exposition().start(&agent).await;
    let served = tokio::spawn(control.serve(Arc::clone(&agent)));
    let balanced = tokio::spawn(balance::run(Arc::clone(&agent)));

    let outcome = attend(&agent, plane, signals).await;

    balanced.abort();
    if timeout(STOP_TIME, agent.exposition().stop()).await.is_err() {
        tracing::error!("the file with metrics was not removed in time");
    }
    notify::stopping();
    agent.registry().ledger().stopping();
    let leave = match manager::is_restarting().await {
        true => Leave::Everything,
        false => Leave::Stored,
    };
    agent.registry().store().leave();
    let stopped = timeout(STOP_TIME, agent.stop(leave)).await;
    if stopped.is_err() {
        tracing::error!("our rules were not removed in time");
    }
    agent.capture().stop();
    if timeout(STOP_TIME, agent.records().stop()).await.is_err() {
        tracing::error!("the last connections were not put on record in time");
    }
    nf_log.stop(leave).await;
    served.abort();
    block_in_place(|| agent.registry().store().close());
    block_in_place(|| agent.registry().manifest().close());
    agent.registry().ledger().close();
    // Its socket's file is removed when the task has ended. An aborted task ends with an error.
    drop(served.await);
    tracing::info!("the agent ends");
    outcome
}

/// Until the agent is told to end, or its rule plane died.
async fn attend(agent: &Agent, plane: RulePlane, mut signals: Signals) -> anyhow::Result<()> {
    let RulePlane { mut task, looked } = plane;
    let mut looked = std::pin::pin!(looked);
    let mut ready = false;
    let mut summary = interval(SUMMARY);
    loop {
        tokio::select! {
            _ = &mut looked, if !ready => {
                ready = true;
                agent.registry().ledger().ready();
                agent.registry().store().ready();
                tracing::info!("{}", agent.summary());
                notify::ready(&agent.summary());
            }
            ended = &mut task => {
                ended.context("the rule plane died")?;
                anyhow::bail!("the rule plane ended by itself");
            }
            _ = signals.reload.recv() => match agent.reload().await {
                Ok(_) | Err(ReloadError::Bad(_)) => {}
                Err(ReloadError::Unavailable) => tracing::error!("the configuration was not reloaded in time"),
            },
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            _ = summary.tick(), if ready => notify::status(&agent.summary()),
        }
    }
}

/// The signals that mean something to us.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            reload: catch(SignalKind::hangup())?,
        })
    }
}

#[derive(Debug)]
struct RulePlane {
    task: JoinHandle<()>,
    /// Told when the first look at every namespace is done.
    looked: oneshot::Receiver<()>,
}

impl RulePlane {
    fn start(
        rules: &Runtime,
        config: Arc<Config>,
        (registry, records): (Arc<Registry>, Arc<Records>),
        orders: mpsc::Receiver<Order>,
    ) -> anyhow::Result<Self> {
        // Sockets and timers belong to the runtime in which they are made.
        let _inside = rules.enter();
        let host = Host::start(config.namespace_directories.clone())?;
        match host.guarantees() {
            Ok(guarantees) => registry.can(guarantees),
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::new(error));
                tracing::warn!(
                    error,
                    "what the kernel can do to protect tables is not known: they are plain"
                );
            }
        }
        let watcher = Watcher::start(&config.namespace_directories)?;
        let supervisor = Supervisor::new(config, Arc::new(host), watcher, registry, records);
        let heartbeat = notify::watchdog_interval().unwrap_or(HEARTBEAT);
        let (first, looked) = oneshot::channel();
        let task = rules.spawn(supervisor.run(orders, first, heartbeat, notify::alive));
        Ok(Self { task, looked })
    }
}

fn runtime(name: &str, threads: usize, first: fn()) -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .on_thread_start(first)
        .enable_all()
        .build()
        .context("cannot start threads")
}
