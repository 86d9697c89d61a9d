//! Where metrics are besides on the control socket: at a TCP address, and in a file. Both follow the configuration.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anetcon_api::MetricsStatus;
use anetcon_core::config::Config;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::agent::Agent;
use crate::control::tcp::{self, Change};
use crate::metrics::{Trouble, textfile};

/// Addresses that may wait to be listened at. A reload waits for its own, so there is never more than one.
const CHANGES: usize = 4;

/// Both places, and what serves them.
#[derive(Debug)]
pub struct Exposition {
    address: Mutex<Option<SocketAddr>>,
    changes: mpsc::Sender<Change>,
    file: Mutex<Option<watch::Sender<Option<PathBuf>>>>,
    trouble: Trouble,
    tasks: Mutex<Option<Tasks>>,
    /// Until it is started: what its tasks need.
    waiting: Mutex<Option<Waiting>>,
}

#[derive(Debug)]
struct Tasks {
    tcp: JoinHandle<()>,
    file: JoinHandle<()>,
}

#[derive(Debug)]
struct Waiting {
    listener: Option<TcpListener>,
    changes: mpsc::Receiver<Change>,
    file: watch::Receiver<Option<PathBuf>>,
}

/// An address that a reload has bound and that nobody is served at yet.
#[derive(Debug)]
pub struct Prepared {
    change: Option<(Option<SocketAddr>, Option<TcpListener>)>,
    /// The old address had to be closed for it.
    closed: Option<SocketAddr>,
}

impl Exposition {
    /// Binds the address of a configuration, if it has one.
    ///
    /// # Errors
    /// It cannot be bound.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let address = config.metrics.listen;
        let listener = match address {
            Some(address) => {
                Some(tcp::bind(address).await.map_err(|(_, why)| anyhow::anyhow!(why))?)
            }
            None => None,
        };
        let (changes, inbox) = mpsc::channel(CHANGES);
        let (sender, file) = watch::channel(config.metrics.textfile.clone());
        Ok(Self {
            address: Mutex::new(address),
            changes,
            file: Mutex::new(Some(sender)),
            trouble: Trouble::default(),
            tasks: Mutex::default(),
            waiting: Mutex::new(Some(Waiting { listener, changes: inbox, file })),
        })
    }

    /// Serves and writes from now on.
    pub async fn start(&self, agent: &Arc<Agent>) {
        let Some(waiting) = lock(&self.waiting).take() else { return };
        let Waiting { listener, changes, file } = waiting;
        let trouble = Arc::clone(&self.trouble);
        *lock(&self.tasks) = Some(Tasks {
            tcp: tokio::spawn(tcp::serve(Arc::clone(agent), changes)),
            file: tokio::spawn(textfile::run(Arc::clone(agent), file, trouble)),
        });
        self.listen(listener).await;
    }

    /// Binds the address of a configuration that is going to be in force.
    ///
    /// # Errors
    /// It cannot be bound: why. The old one is served as before.
    pub async fn prepare(&self, config: &Config) -> Result<Prepared, String> {
        let (old, new) = (*lock(&self.address), config.metrics.listen);
        let mut prepared = Prepared { change: None, closed: None };
        if old == new {
            return Ok(prepared);
        }
        let Some(address) = new else {
            prepared.change = Some((None, None));
            return Ok(prepared);
        };
        let mut bound = tcp::bind(address).await;
        let ours = old.filter(|old| old.port() == address.port());
        if let (Err((ErrorKind::AddrInUse, _)), Some(ours)) = (&bound, ours) {
            // 0.0.0.0 is every address, also the one that we listen at.
            self.listen(None).await;
            prepared.closed = Some(ours);
            bound = tcp::bind(address).await;
        }
        match bound {
            Ok(listener) => {
                prepared.change = Some((new, Some(listener)));
                Ok(prepared)
            }
            Err((_, why)) => {
                self.abandon(prepared).await;
                Err(why)
            }
        }
    }

    /// Puts everything of a configuration in force.
    pub async fn commit(&self, prepared: Prepared, config: &Config) {
        if let Some((address, listener)) = prepared.change {
            self.listen(listener).await;
            *lock(&self.address) = address;
        }
        if let Some(file) = &*lock(&self.file) {
            let textfile = config.metrics.textfile.clone();
            file.send_if_modified(|old| std::mem::replace(old, textfile.clone()) != textfile);
        }
    }

    /// The configuration is not going to be in force: all is as before.
    pub async fn abandon(&self, prepared: Prepared) {
        let Prepared { change, closed } = prepared;
        drop(change);
        let Some(address) = closed else { return };
        match tcp::bind(address).await {
            Ok(listener) => self.listen(Some(listener)).await,
            Err((_, error)) => tracing::error!(error, "metrics are not served over TCP any more"),
        }
    }

    /// Ends both. The file is removed.
    pub async fn stop(&self) {
        drop(lock(&self.file).take());
        let tasks = lock(&self.tasks).take();
        if let Some(Tasks { tcp, file }) = tasks {
            tcp.abort();
            // Errors are panics, which are told where they happen.
            let _ = file.await;
        }
    }

    /// How that goes.
    pub fn status(&self, config: &Config) -> MetricsStatus {
        MetricsStatus {
            listen: lock(&self.address).map(|address| address.to_string()),
            textfile: config.metrics.textfile.as_ref().map(|file| file.display().to_string()),
            error: lock(&self.trouble).clone(),
        }
    }

    /// When this returns the address of before is closed.
    async fn listen(&self, listener: Option<TcpListener>) {
        let (done, closed) = oneshot::channel();
        if self.changes.send((listener, done)).await.is_ok() {
            // An error means that the task is gone, and its listener with it.
            let _ = closed.await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
