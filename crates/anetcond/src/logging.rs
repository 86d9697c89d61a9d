//! Where the agent's own messages go: the journal under systemd, standard error otherwise, and a file if asked for.
//!
//! The evidence files are not written here.

use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::os::linux::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// Changes how much is logged, while running.
#[derive(Debug, Clone)]
pub struct Verbosity(reload::Handle<LevelFilter, Registry>);

impl Verbosity {
    /// `debug` of the configuration now in force.
    pub fn set(&self, debug: bool) -> anyhow::Result<()> {
        self.0.reload(level(debug)).context("cannot change the log level")
    }
}

fn level(debug: bool) -> LevelFilter {
    if debug { LevelFilter::DEBUG } else { LevelFilter::INFO }
}

/// Starts logging. `journal_stream` is the environment's `JOURNAL_STREAM` (systemd.exec(5)).
pub fn start(
    debug: bool,
    file: Option<&Path>,
    journal_stream: Option<&str>,
) -> anyhow::Result<Verbosity> {
    let (filter, handle) = reload::Layer::new(level(debug));
    let file = file.map(open).transpose()?;
    let to_file = file.map(|file| fmt::layer().with_ansi(false).with_writer(Arc::new(file)));
    tracing_subscriber::registry()
        .with(filter)
        .with(main_layer(journal_stream))
        .with(to_file)
        .init();
    Ok(Verbosity(handle))
}

fn main_layer<S>(journal_stream: Option<&str>) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    if stderr_is_journal(journal_stream)
        && let Ok(journal) = tracing_journald::layer()
    {
        return journal.with_field_prefix(Some("ANETCON".to_owned())).boxed();
    }
    let ansi = std::io::stderr().is_terminal();
    fmt::layer().with_ansi(ansi).with_writer(std::io::stderr).boxed()
}

/// `JOURNAL_STREAM` holds device and inode of the journal's stream; a child whose standard error was redirected
/// inherits the variable all the same, so they are compared.
fn stderr_is_journal(journal_stream: Option<&str>) -> bool {
    let Some((device, inode)) = journal_stream.and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    std::fs::metadata("/proc/self/fd/2").is_ok_and(|stderr| {
        device == stderr.st_dev().to_string() && inode == stderr.st_ino().to_string()
    })
}

fn open(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)
        .with_context(|| format!("cannot open the log file {}", path.display()))
}
