//! What can go wrong with one namespace.

use anetcon_core::drift::Drift;
use anetcon_core::netns::{NetnsCookie, NetnsName};
use thiserror::Error;

/// Why a namespace could not be opened, observed or programmed. It concerns that namespace alone.
#[derive(Debug, Error)]
pub enum Error {
    /// It could not be entered.
    #[error("cannot enter namespace {name}")]
    Enter {
        /// Which one.
        name: NetnsName,
        /// Why.
        #[source]
        source: anetcon_netns::Error,
    },
    /// There is no such namespace in the configured folders.
    #[error("there is no namespace {name} in {folders}")]
    Unknown {
        /// Which one.
        name: NetnsName,
        /// Where it was looked for.
        folders: String,
    },
    /// A folder of namespaces could not be read.
    #[error("cannot list the namespaces")]
    List(#[source] anetcon_netns::Error),
    /// The opener thread could not be started.
    #[error("cannot start the thread that enters namespaces")]
    Opener(#[source] anetcon_netns::Error),
    /// nf_tables refused, or did not answer.
    #[error("nf_tables in namespace {name}")]
    Nft {
        /// Which one.
        name: NetnsName,
        /// Why.
        #[source]
        source: anetcon_nft::Error,
    },
    /// Connection tracking refused, or did not answer.
    #[error("connection tracking in namespace {name}")]
    Conntrack {
        /// Which one.
        name: NetnsName,
        /// Why.
        #[source]
        source: anetcon_conntrack::Error,
    },
    /// A socket that was handed over is that of another namespace.
    #[error("the inherited socket is not of namespace {name} but of that with cookie {cookie}")]
    Stranger {
        /// Which one.
        name: NetnsName,
        /// The socket's.
        cookie: NetnsCookie,
    },
    /// The event socket could not be watched.
    #[error("cannot wait for events of namespace {name}")]
    Events {
        /// Which one.
        name: NetnsName,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Our rules were acknowledged, yet each time a dump right after said otherwise: somebody is as quick as we are.
    #[error("the rules of namespace {name} were changed again at once: {}", list(drift))]
    Contended {
        /// Which one.
        name: NetnsName,
        /// What was wrong the last time.
        drift: Vec<Drift>,
    },
}

impl Error {
    /// Whether the namespace was deleted: nothing is wrong then, there is only nothing to do.
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. } | Self::Enter { source: anetcon_netns::Error::Gone { .. }, .. }
        )
    }

    /// Whether there is a file and no namespace mounted on it: for a moment that is so wherever one is made.
    pub fn is_not_ready(&self) -> bool {
        matches!(self, Self::Enter { source: anetcon_netns::Error::NotReady { .. }, .. })
    }
}

fn list(drift: &[Drift]) -> String {
    drift.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
