//! What the supervisor can be ordered to do, by signals and through the control socket.

use std::sync::Arc;

use anetcon_core::config::Config;
use anetcon_core::ledger::Cause;
use anetcon_core::netns::NetnsName;
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{Handle, PATIENCE, Supervisor};
use crate::ledger::{BOTH, Of};
use crate::worker::{Command, Inspection, Leave, answer};

/// An order, with the way back for its answer.
#[derive(Debug)]
pub enum Order {
    /// Dump every namespace, for fresh counters.
    Refresh(oneshot::Sender<()>),
    /// Dump some namespaces, for fresh counters.
    RefreshSome(Vec<NetnsName>, oneshot::Sender<()>),
    /// What the kernel holds of one namespace, or of all.
    Inspect(Option<NetnsName>, oneshot::Sender<Answers<Inspection>>),
    /// Put another configuration in force everywhere.
    Reconfigure(Arc<Config>, oneshot::Sender<anyhow::Result<Reconfigured>>),
    /// Let go of every namespace, and end.
    Stop(Leave, oneshot::Sender<()>),
}

/// One answer for each worker that was asked; `None`: it did not come in time.
pub type Answers<T> = Vec<(NetnsName, Option<T>)>;

/// What a new configuration changed.
#[derive(Debug, Default)]
pub struct Reconfigured {
    /// Namespaces that are audited from now on.
    pub added: Vec<NetnsName>,
    /// Namespaces that lost our table.
    pub removed: Vec<NetnsName>,
}

impl Supervisor {
    /// Answers with fresh counters in the registry, without waiting here.
    pub(super) fn refresh(&self, chosen: impl Fn(&NetnsName) -> bool, done: oneshot::Sender<()>) {
        let asked = self.ask(chosen, Command::Refresh);
        tokio::spawn(async move {
            asked.answers().await;
            answer(done, ());
        });
    }

    /// Answers with what the kernel holds, without waiting here.
    pub(super) fn inspect(
        &self,
        which: Option<&NetnsName>,
        done: oneshot::Sender<Answers<Inspection>>,
    ) {
        let asked = self.ask(|name| which.is_none_or(|which| which == name), Command::Inspect);
        tokio::spawn(async move {
            answer(done, asked.answers().await);
        });
    }

    /// Puts a configuration in force. Here the supervisor waits: what it does next depends on it.
    pub(super) async fn reconfigure(
        &mut self,
        config: Arc<Config>,
    ) -> anyhow::Result<Reconfigured> {
        if config.namespace_directories != self.config.namespace_directories {
            self.move_to(&config.namespace_directories)?;
        }
        self.hashes.move_to(config.state.hash_file.clone());
        // Released under the old configuration: it names the table that is there.
        let now = Timestamp::now();
        let removed = self.release(Leave::Nothing, |name| !config.selection.matches(name)).await;
        for name in &removed {
            let of = Of { name, cookie: None };
            let why = "the configuration leaves it out";
            self.registry.ledger().begin(of, Cause::NotSelected, &BOTH, now, why);
        }
        self.config = config;
        let configure =
            |done| Command::Configure(Arc::clone(&self.config), Arc::clone(&self.host), done);
        self.ask(|_| true, configure).answers().await;
        let (added, gone) = self.take_stock().await;
        self.ask(|name| added.contains(name), Command::Sweep).answers().await;
        Ok(Reconfigured { added, removed: [removed, gone].concat() })
    }

    /// Removes our table from the chosen namespaces and ends their workers.
    pub(super) async fn release(
        &mut self,
        leave: Leave,
        chosen: impl Fn(&NetnsName) -> bool,
    ) -> Vec<NetnsName> {
        let release = |done| Command::Release(leave, done);
        let answers = self.ask(chosen, release).answers().await;
        for (name, answer) in &answers {
            match answer {
                Some(Ok(())) if leave == Leave::Everything => {
                    tracing::info!(netns = %name, "rules stay for the next run");
                }
                Some(Ok(())) => tracing::info!(netns = %name, "rules removed, no longer audited"),
                Some(Err(error)) => {
                    tracing::error!(netns = %name, error = %format_args!("{error:#}"), "cannot remove our rules");
                }
                None => tracing::error!(netns = %name, "our rules were not removed in time"),
            }
            self.dismiss(name).await;
        }
        answers.into_iter().map(|(name, _)| name).collect()
    }

    /// Sends a command to every chosen worker, now.
    pub(super) fn ask<T>(
        &self,
        chosen: impl Fn(&NetnsName) -> bool,
        command: impl Fn(oneshot::Sender<T>) -> Command,
    ) -> Asked<T> {
        let chosen = self.workers.iter().filter(|(name, _)| chosen(name));
        let answers = chosen.map(|(name, worker)| (name.clone(), worker.send(&command))).collect();
        Asked { answers, deadline: Instant::now() + PATIENCE }
    }
}

/// A command on its way to several workers.
pub(super) struct Asked<T> {
    answers: Vec<(NetnsName, oneshot::Receiver<T>)>,
    deadline: Instant,
}

impl<T> Asked<T> {
    /// Waits until all have answered or their time is up.
    async fn answers(self) -> Answers<T> {
        let mut answers = Vec::with_capacity(self.answers.len());
        for (name, receiver) in self.answers {
            let answer = timeout_at(self.deadline, receiver).await.ok().and_then(Result::ok);
            answers.push((name, answer));
        }
        answers
    }
}

impl Handle {
    /// Sends a command without waiting. A queue that is full is that of a stuck worker: its sender is dropped here,
    /// and the receiver learns at once that no answer will come.
    pub(super) fn send<T>(
        &self,
        command: impl Fn(oneshot::Sender<T>) -> Command,
    ) -> oneshot::Receiver<T> {
        let (done, answer) = oneshot::channel();
        drop(self.commands.try_send(command(done)));
        answer
    }
}
