//! The running agent as the control socket and the signals see it: status, detail, diff, reload.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anetcon_api::{
    Diff, Happening, Link, NamespaceDetail, NamespaceDiff, Reload, Rotated, RuleCounter, Schema,
};
use anetcon_core::config::Config;
use anetcon_core::netns::NetnsName;
use anetcon_core::prefix::Kind;
use anetcon_core::table::Table;
use anetcon_core::{desired, render};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::capture::Capture;
use crate::exposition::Exposition;
use crate::logging::Verbosity;
use crate::records::Records;
use crate::registry::Registry;
use crate::settings::{Loaded, Source};
use crate::supervisor::{Answers, Order, Reconfigured};
use crate::worker::Inspection;
use crate::worker::Leave;
use crate::{clock, notify, settings};

/// How long the control socket waits for the supervisor. Longer than the supervisor waits for its workers.
const PATIENCE: Duration = Duration::from_secs(8);

/// Everything that outlives a single request.
#[derive(Debug)]
pub struct Agent {
    source: Source,
    registry: Arc<Registry>,
    orders: mpsc::Sender<Order>,
    capture: Capture,
    records: Arc<Records>,
    exposition: Exposition,
    verbosity: Verbosity,
    started: String,
    in_force: Mutex<InForce>,
    /// Held through a whole reload: two at once would mix their configurations.
    reloading: tokio::sync::Mutex<()>,
}

/// What works beside each other.
#[derive(Debug)]
pub struct Planes {
    /// What is known of the namespaces.
    pub registry: Arc<Registry>,
    /// The way to the supervisor.
    pub orders: mpsc::Sender<Order>,
    /// What reads the kernel log.
    pub capture: Capture,
    /// What puts connections on record.
    pub records: Arc<Records>,
    /// Where metrics are besides on the control socket.
    pub exposition: Exposition,
}

/// The configuration in force, and how the last attempt to change it ended.
#[derive(Debug, Clone)]
pub struct InForce {
    /// Its values.
    pub config: Arc<Config>,
    /// Its file; `None`: defaults.
    pub file: Option<PathBuf>,
    /// What was put over it, the weakest first.
    pub drop_ins: Vec<PathBuf>,
    /// Since when.
    pub loaded: Timestamp,
    /// Why the last reload failed, if it did.
    pub last_error: Option<String>,
}

/// Why a reload did not happen. The configuration before it is still in force.
#[derive(Debug)]
pub enum ReloadError {
    /// The configuration is wrong: the rendered diagnostics.
    Bad(String),
    /// The agent is ending, or too busy.
    Unavailable,
}

impl Agent {
    /// The agent with its first configuration.
    pub fn new(source: Source, loaded: Loaded, planes: Planes, verbosity: Verbosity) -> Self {
        let Planes { registry, orders, capture, records, exposition } = planes;
        let now = Timestamp::now();
        let in_force = InForce {
            config: Arc::new(loaded.config),
            file: loaded.file,
            drop_ins: loaded.drop_ins,
            loaded: now,
            last_error: None,
        };
        Self {
            source,
            registry,
            orders,
            capture,
            records,
            exposition,
            verbosity,
            started: clock::text(now),
            in_force: Mutex::new(in_force),
            reloading: tokio::sync::Mutex::default(),
        }
    }

    /// What is known of the namespaces.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Who writes the log files.
    pub fn capture(&self) -> &Capture {
        &self.capture
    }

    /// What puts connections on record.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Where metrics are besides on the control socket.
    pub fn exposition(&self) -> &Exposition {
        &self.exposition
    }

    /// Has the file of the session records opened anew, and says which. `None`: not in time.
    pub async fn rotate(&self) -> Option<Rotated> {
        let records = Arc::clone(&self.records);
        let reopened = tokio::task::spawn_blocking(move || records.reopen()).await;
        let config = self.in_force().config;
        let file = config.records.enabled.then(|| config.records.file.display().to_string());
        let rotated = Rotated { schema: Schema, files: file.into_iter().collect() };
        self.registry.manifest().look();
        matches!(reopened, Ok(true)).then_some(rotated)
    }

    /// When the agent started.
    pub fn started(&self) -> &str {
        &self.started
    }

    /// The configuration in force now.
    pub fn in_force(&self) -> InForce {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the counters of every namespace into the registry. `None`: not in time.
    pub async fn refresh(&self) -> Option<()> {
        self.order(Order::Refresh).await
    }

    /// The same of some namespaces.
    pub async fn refresh_some(&self, names: Vec<NetnsName>) -> Option<()> {
        self.order(|done| Order::RefreshSome(names, done)).await
    }

    /// Everything about one namespace.
    pub async fn detail(&self, name: &NetnsName) -> Option<NamespaceDetail> {
        let answers = self.inspect(Some(name.clone())).await?;
        let inspection = answers.into_iter().next().and_then(|(_, inspection)| inspection)?;
        let config = self.in_force().config;
        let prefixes = &config.log.prefixes;
        let mut detail = NamespaceDetail {
            schema: Schema,
            namespace: self.registry.namespace(name)?,
            rules: None,
            counters: Vec::new(),
            networks: networks(&config, name),
            prefixes: Kind::ALL.iter().filter_map(|&kind| prefixes.full(kind, name).ok()).collect(),
            links: Vec::new(),
            unreadable: Vec::new(),
        };
        describe(inspection, &mut detail);
        Some(detail)
    }

    /// Wanted against kernel, in one namespace or in all.
    pub async fn diff(&self, name: Option<NetnsName>) -> Option<Diff> {
        let answers = self.inspect(name).await?;
        let config = self.in_force().config;
        let one = |(name, inspection)| compare(&config, &name, inspection);
        Some(Diff { schema: Schema, namespaces: answers.into_iter().map(one).collect() })
    }

    /// Lets go of every namespace and ends the rule plane.
    pub async fn stop(&self, leave: Leave) {
        let (done, stopped) = oneshot::channel();
        if self.orders.send(Order::Stop(leave, done)).await.is_ok() {
            // An error means that the rule plane is dead already, which was told.
            drop(stopped.await);
        }
    }

    /// Loads the configuration again and puts it in force. A bad one changes nothing.
    pub async fn reload(&self) -> Result<Reload, ReloadError> {
        let _alone = self.reloading.lock().await;
        notify::reloading();
        let result = self.try_reload().await;
        if let Err(ReloadError::Bad(error)) = &result {
            // In the message, where line ends stay line ends: a caret must stand under what it points at.
            tracing::error!("configuration not reloaded, the one before stays in force\n{error}");
            self.change(|in_force| in_force.last_error = Some(error.clone()));
            self.registry.publish(None, Happening::ReloadFailed { error: error.clone() });
        }
        notify::ready(&self.summary());
        result
    }

    async fn try_reload(&self) -> Result<Reload, ReloadError> {
        let loaded = self.source.load().map_err(|bad| ReloadError::Bad(bad.render(false)))?;
        if let Some(notice) = loaded.notice() {
            tracing::warn!("{notice}");
        }
        let config = Arc::new(loaded.config);
        let changes = settings::changes(&self.in_force().config, &config);
        // What can be refused comes first: then nothing is half-applied.
        let prepared = self.exposition.prepare(&config).await.map_err(ReloadError::Bad)?;
        // The capture thread answers within milliseconds.
        block_in_place(|| self.capture.prepare(&config));
        // Before any namespace hands connections over that only the new configuration wants, and after the last has handed
        // over those that only the old one did.
        let records = || self.records.reconfigure(&self.in_force().config, &config);
        if config.records.enabled {
            block_in_place(records);
        }
        let Reconfigured { added, removed } = match self.reconfigure(&config).await {
            Ok(reconfigured) => reconfigured,
            Err(error) => {
                self.exposition.abandon(prepared).await;
                return Err(error);
            }
        };
        if !config.records.enabled {
            block_in_place(records);
        }
        self.exposition.commit(prepared, &config).await;
        self.capture.reconfigure(&config);
        self.registry.ledger().configure(&config);
        self.registry.manifest().configure(&config);
        if let Err(error) = self.verbosity.set(config.debug) {
            tracing::warn!(error = %format_args!("{error:#}"), "the log level stays as it was");
        }
        let now = Timestamp::now();
        let Loaded { file, drop_ins, .. } = loaded;
        let in_force = InForce { config, file, drop_ins, loaded: now, last_error: None };
        let file = in_force.file.as_ref().map(|file| file.display().to_string());
        self.change(|old| *old = in_force);
        tracing::info!(changes = changes.join(", "), "configuration reloaded");
        self.registry.publish(None, Happening::Reloaded { changes: changes.clone() });
        Ok(Reload {
            schema: Schema,
            file,
            loaded: clock::text(now),
            changes,
            added: added.iter().map(ToString::to_string).collect(),
            removed: removed.iter().map(ToString::to_string).collect(),
        })
    }

    async fn reconfigure(&self, config: &Arc<Config>) -> Result<Reconfigured, ReloadError> {
        self.order(|done| Order::Reconfigure(Arc::clone(config), done))
            .await
            .ok_or(ReloadError::Unavailable)?
            .map_err(|error| ReloadError::Bad(format!("{error:#}")))
    }

    async fn inspect(&self, name: Option<NetnsName>) -> Option<Answers<Inspection>> {
        self.order(|done| Order::Inspect(name, done)).await
    }

    async fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (done, answer) = oneshot::channel();
        let asked = async {
            self.orders.send(order(done)).await.ok()?;
            answer.await.ok()
        };
        timeout(PATIENCE, asked).await.ok().flatten()
    }

    fn change(&self, change: impl FnOnce(&mut InForce)) {
        change(&mut self.in_force.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn networks(config: &Config, name: &NetnsName) -> Vec<String> {
    let networks = config.networks.get(name.as_str()).into_iter().flatten();
    networks.map(ToString::to_string).collect()
}

fn describe(inspection: Inspection, detail: &mut NamespaceDetail) {
    match inspection.observed {
        Ok(observed) => {
            detail.rules = observed.table.as_ref().map(render::table);
            let counter = |counter: &anetcon_core::observed::RuleCounter| RuleCounter {
                comment: counter.comment.clone(),
                packets: counter.packets,
                bytes: counter.bytes,
            };
            detail.counters = observed.counters.iter().map(counter).collect();
        }
        Err(error) => detail.unreadable.push(format!("rules: {error:#}")),
    }
    match inspection.links {
        Ok(links) => detail.links = links.into_iter().map(link).collect(),
        Err(error) => detail.unreadable.push(format!("links: {error:#}")),
    }
}

fn link(link: anetcon_host::Link) -> Link {
    Link {
        index: link.index,
        name: link.name,
        kind: link.kind,
        up: link.up,
        mac: link.mac,
        addresses: link.addresses,
    }
}

fn compare(config: &Config, name: &NetnsName, inspection: Option<Inspection>) -> NamespaceDiff {
    let failed = |error: String| NamespaceDiff {
        namespace: name.to_string(),
        in_force: false,
        text: String::new(),
        error: Some(error),
    };
    let (observed, protection) = match inspection {
        Some(Inspection { observed: Ok(observed), protection, .. }) => (observed, protection),
        Some(Inspection { observed: Err(error), .. }) => return failed(format!("{error:#}")),
        None => return failed("did not answer in time".to_owned()),
    };
    match desired::table(config, name) {
        Ok(wanted) => {
            let wanted = Table { flags: protection.flags(), ..wanted };
            let in_force = observed.table.as_ref() == Some(&wanted);
            let text = match in_force {
                true => String::new(),
                false => render::diff(Some(&wanted), observed.table.as_ref()),
            };
            NamespaceDiff { namespace: name.to_string(), in_force, text, error: None }
        }
        Err(error) => failed(error.to_string()),
    }
}
