//! The connections of a worker's namespace are put on record, elsewhere: here is only seen to it.

use anetcon_api::NamespaceRecords;
use anetcon_core::config::Config;
use anetcon_host::NetnsRules;

use super::Worker;
use crate::records::{Following, Wanted};

impl Worker {
    /// Sees to it that the connections are put on record, if they are to be. Rules come first: the kernel tracks
    /// connections only where a rule asks for it.
    pub(super) async fn follow(&mut self) {
        let Some(cookie) = self.rules.as_ref().map(NetnsRules::cookie) else { return };
        if !self.config.records.enabled {
            return;
        }
        let alive = |(of, following): &(_, Following)| *of == cookie && following.is_alive();
        if self.following.as_ref().is_some_and(alive) {
            return;
        }
        let wanted = Wanted::new(&self.config, &self.name);
        let buffer = self.config.records.buffer;
        match self.host.open_conntrack(&self.name, wanted.filter.clone(), buffer).await {
            // While our sockets keep the namespace alive its file's identity is not used again: under another one the
            // name means another namespace, whose own worker follows it.
            Ok(_) if self.host.file_id(&self.name) != self.file => {}
            Ok(conntrack) => {
                let following = self.records.follow(&self.name, cookie, conntrack, wanted);
                self.following = following.map(|following| (cookie, following));
            }
            Err(error) => self.not_followed(error),
        }
    }

    /// After a reload.
    pub(super) async fn follow_otherwise(&mut self, old: &Config) {
        let (before, now) = (&old.records, &self.config.records);
        // Two sockets at once would tell of everything twice.
        if !now.enabled || now.buffer != before.buffer {
            self.unfollow().await;
        } else if let Some((_, following)) = &self.following {
            following.change(Wanted::new(&self.config, &self.name));
        }
    }

    async fn unfollow(&mut self) {
        if let Some((_, following)) = self.following.take() {
            following.end().await;
        }
        self.registry.set_records(&self.name, NamespaceRecords::default());
    }

    /// It is tried again with every pass and sweep; rules and kernel lines do not depend on it.
    fn not_followed(&mut self, error: anetcon_host::Error) {
        self.following = None;
        if error.is_gone() || error.is_not_ready() {
            // The supervisor ends this worker any moment.
            return;
        }
        let error = format!("{:#}", anyhow::Error::new(error));
        let news = self
            .registry
            .namespace(&self.name)
            .is_some_and(|known| known.records.error.as_ref() != Some(&error));
        if news {
            tracing::error!(netns = %self.name, error, "connections are not put on record");
        }
        let records = NamespaceRecords { error: Some(error), ..NamespaceRecords::default() };
        self.registry.set_records(&self.name, records);
    }
}
