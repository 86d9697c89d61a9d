//! Lists the files that are rotated away, with their hashes, and tells the head of the chain to the agent's own log.

use std::path::PathBuf;

use anetcon_api::ManifestStatus;
use anetcon_core::config::Config;
use anetcon_records::manifest::{self, Listed};
use anetcon_records::search::{Content, Sources};

/// The manifest, or why there is none.
#[derive(Debug)]
pub struct Manifest(Result<manifest::Manifest, String>);

impl Manifest {
    /// Begins, in the state directory of a configuration. That it cannot is no reason not to audit: it shows in the status.
    pub fn start(config: &Config) -> Self {
        let started = manifest::Manifest::start(&config.state.directory, logs(config), tell);
        if let Err(error) = &started {
            tracing::error!(%error, "rotated files are not listed");
        }
        Self(started.map_err(|error| error.to_string()))
    }

    /// A file was rotated, perhaps.
    pub fn look(&self) {
        self.with(manifest::Manifest::look);
    }

    /// Files are elsewhere from now on.
    pub fn configure(&self, config: &Config) {
        self.with(|manifest| manifest.logs(logs(config)));
    }

    /// How it goes.
    pub fn status(&self) -> ManifestStatus {
        match &self.0 {
            Ok(manifest) => {
                let manifest::ManifestStatus { entries, head, error } = manifest.status();
                ManifestStatus { entries, head: (!head.is_empty()).then_some(head), error }
            }
            Err(error) => {
                ManifestStatus { error: Some(error.clone()), ..ManifestStatus::default() }
            }
        }
    }

    /// Ends the thread.
    pub fn close(&self) {
        self.with(manifest::Manifest::close);
    }

    fn with(&self, work: impl FnOnce(&manifest::Manifest)) {
        if let Ok(manifest) = &self.0 {
            work(manifest);
        }
    }
}

fn logs(config: &Config) -> Vec<(PathBuf, Content)> {
    Sources::configured(config).files().into()
}

fn tell(listed: Listed) {
    match listed {
        Listed::File { file, head } => {
            tracing::info!(file, %head, "rotated file listed in the manifest")
        }
        Listed::Trouble(error) => tracing::error!(error, "the manifest of rotated files"),
    }
}
