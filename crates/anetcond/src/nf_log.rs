//! Keeps net.netfilter.nf_log_all_netns at 1 while we run: with 0 the kernel logs nothing outside the root namespace.

use std::sync::Arc;

use anetcon_api::{Happening, NfLogAllNetns as State};
use anetcon_netns::sysctl::{Hold, NfLogAllNetns, SettingError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::registry::Registry;
use crate::store::{NOWHERE, Use};
use crate::worker::Leave;

/// The task that keeps the setting. It cannot be set for ever by us alone: the last agent puts it back.
#[derive(Debug)]
pub struct Keeper {
    task: JoinHandle<()>,
    stop: oneshot::Sender<Leave>,
}

impl Keeper {
    /// Sets it, and goes on to watch it. That it cannot be set is no reason not to audit: it shows in the status.
    pub fn start(registry: Arc<Registry>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let watch = Watch::start(registry);
        Self { task: tokio::spawn(watch.run(stopped)), stop }
    }

    /// Puts the old value back if no other agent needs it, and none is to follow.
    pub async fn stop(self, leave: Leave) {
        // Either fails only if the task has panicked, which is told where it happens.
        let _ = self.stop.send(leave);
        let _ = self.task.await;
    }
}

struct Watch {
    registry: Arc<Registry>,
    setting: NfLogAllNetns,
    hold: Option<Hold>,
    resets: u64,
}

impl Watch {
    fn start(registry: Arc<Registry>) -> Self {
        let setting = NfLogAllNetns::system();
        if !matches!(setting.read(), Ok(true)) {
            // Rules that stood all the time logged nothing.
            registry.found_nf_log_off();
        }
        let mut watch = Self { registry, setting, hold: None, resets: 0 };
        // The claim of the run before stands until ours does: it knows the value from before the first run.
        let before = watch.registry.store().take(Use::Claim, NOWHERE);
        let error = watch.acquire().err();
        drop(before);
        watch.registry.store().forget(Use::Claim, NOWHERE);
        watch.tell(error);
        watch
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<Leave>) {
        let mut changes = self.setting.changes();
        // What was changed before the watch began is no change to it.
        if self.hold.is_some() && matches!(self.setting.read(), Ok(false)) {
            self.changed(Ok(false));
        }
        let leave = loop {
            tokio::select! {
                leave = &mut stopped => break leave.unwrap_or(Leave::Stored),
                change = changes.changed() => self.changed(change),
            }
        };
        match leave {
            Leave::Everything if self.registry.store().keeps() => self.hand_over(),
            _ => self.release(),
        }
    }

    fn changed(&mut self, change: Result<bool, SettingError>) {
        let error = match change {
            Ok(true) => None,
            Ok(false) => {
                self.registry.ledger().nf_log(false);
                self.resets += 1;
                let error = self.set_again().err();
                if error.is_none() {
                    tracing::warn!(
                        "net.netfilter.nf_log_all_netns was set to 0 and is 1 again: lines of the time between are lost"
                    );
                }
                error
            }
            Err(error) => Some(error),
        };
        self.tell(error);
    }

    fn set_again(&mut self) -> Result<(), SettingError> {
        match self.hold {
            Some(_) => self.setting.set(true),
            None => self.acquire(),
        }
    }

    fn acquire(&mut self) -> Result<(), SettingError> {
        self.hold = Some(self.setting.acquire()?);
        Ok(())
    }

    /// To the log if something is wrong, to the status in any case.
    fn tell(&self, error: Option<SettingError>) {
        let error = error.map(|error| format!("{:#}", anyhow::Error::new(error)));
        let value = self.setting.read().ok();
        let ok = value == Some(true);
        self.registry.ledger().nf_log(ok);
        if let Some(error) = &error {
            tracing::error!(
                error,
                "net.netfilter.nf_log_all_netns is not in our hands: lines may be lost"
            );
        }
        let value = value.map(u8::from);
        self.registry.publish(None, Happening::NfLogAllNetns { value, ok, error: error.clone() });
        self.registry.set_nf_log(State {
            value,
            ok,
            set_by_us: self.hold.as_ref().is_some_and(|hold| !hold.was_on()),
            resets: self.resets,
            error,
        });
    }

    /// The setting stays for the next run, and the claim in the service manager's store, so that the last run of all can put back
    /// what was before the first.
    fn hand_over(&mut self) {
        if let Some(hold) = self.hold.take() {
            self.registry.store().keep(Use::Claim, NOWHERE, &hold);
        }
    }

    fn release(&mut self) {
        let Some(hold) = self.hold.take() else { return };
        match hold.release() {
            Ok(released) => tracing::debug!(?released, "net.netfilter.nf_log_all_netns released"),
            Err(error) => {
                tracing::error!(error = %format_args!("{:#}", anyhow::Error::new(error)), "cannot put net.netfilter.nf_log_all_netns back");
            }
        }
    }
}
