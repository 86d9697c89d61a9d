//! The connections of a worker's namespace are put on record, elsewhere: here is only seen to it.

use anetcon_api::NamespaceRecords;
use anetcon_core::config::Config;
use anetcon_core::netns::NetnsCookie;
use anetcon_host::{Conntrack, NetnsRules};

use super::Worker;
use crate::records::{Following, Wanted};
use crate::store::Use;

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
        let (socket, inherited) = match self.inherited(cookie, &wanted, buffer) {
            Some(socket) => (Ok(socket), true),
            None => {
                let filter = wanted.filter.clone();
                (self.host.open_conntrack(&self.name, filter, buffer).await, false)
            }
        };
        match socket {
            // While our sockets keep the namespace alive its file's identity is not used again: under another one the
            // name means another namespace, whose own worker follows it.
            Ok(_) if self.host.file_id(&self.name) != self.file => {}
            Ok(conntrack) => {
                self.registry.store().keep(Use::Connections, cookie, &conntrack);
                let following =
                    self.records.follow(&self.name, cookie, (conntrack, inherited), wanted);
                self.following = following.map(|following| (cookie, following));
                self.followed(cookie, inherited);
            }
            Err(error) => self.not_followed(error),
        }
    }

    /// The socket that the run before has left: events of the time without an agent wait in it.
    fn inherited(&self, cookie: NetnsCookie, wanted: &Wanted, buffer: usize) -> Option<Conntrack> {
        let store = self.registry.store();
        let fd = store.take(Use::Connections, cookie)?;
        match Conntrack::adopt(fd, &wanted.filter, buffer) {
            Ok(conntrack) => Some(conntrack),
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::new(error));
                tracing::warn!(netns = %self.name, error, "the socket of the run before cannot be used");
                store.forget(Use::Connections, cookie);
                None
            }
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
        if let Some((cookie, following)) = self.following.take() {
            self.registry.store().forget(Use::Connections, cookie);
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
        self.unrecorded(&error);
        if news {
            tracing::error!(netns = %self.name, error, "connections are not put on record");
        }
        let records = NamespaceRecords { error: Some(error), ..NamespaceRecords::default() };
        self.registry.set_records(&self.name, records);
    }
}
