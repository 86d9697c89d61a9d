//! The file for node_exporter's textfile collector. Whoever reads it sees a whole page, the old one or the new one.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::interval;

use super::page::{Format, page};
use crate::agent::Agent;

/// How often it is written: as often as most scrape.
const EVERY: Duration = Duration::from_secs(15);

/// Everybody may read it: node_exporter runs as a user of its own.
const MODE: u32 = 0o644;

/// Why the file cannot be written, while it cannot.
pub type Trouble = Arc<Mutex<Option<String>>>;

/// Writes the file that `wanted` names until nobody can name another one; then, and when it has another name, the file is
/// removed: old numbers would look like new ones.
pub async fn run(
    agent: Arc<Agent>,
    mut wanted: watch::Receiver<Option<PathBuf>>,
    trouble: Trouble,
) {
    let (mut ticks, mut written) = (interval(EVERY), None::<PathBuf>);
    loop {
        let over = tokio::select! {
            _ = ticks.tick() => false,
            changed = wanted.changed() => changed.is_err(),
        };
        let next = wanted.borrow_and_update().clone().filter(|_| !over);
        if let Some(old) = written.take_if(|old| next.as_ref() != Some(&*old)) {
            remove(old).await;
        }
        let outcome = match &next {
            Some(file) => write(Arc::clone(&agent), file.clone()).await,
            None => Ok(()),
        };
        tell(&trouble, outcome);
        written = next;
        if over {
            return;
        }
    }
}

async fn write(agent: Arc<Agent>, file: PathBuf) -> Result<(), String> {
    let name = file.display().to_string();
    let written = spawn_blocking(move || {
        let page = page(&agent, Format::Textfile).map_err(io::Error::other)?;
        replace(&file, page.as_bytes())
    });
    let written = written.await.map_err(io::Error::other).and_then(|written| written);
    written.map_err(|error| format!("cannot write {name}: {error}"))
}

async fn remove(file: PathBuf) {
    // A file that is gone, or a folder that is, needs no removing.
    let _ = spawn_blocking(move || fs::remove_file(file)).await;
}

/// The folder can belong to somebody else: the new file gets a name that nobody can foresee, and is never one that was there.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut fresh = tempfile::Builder::new().prefix(".anetcon-").tempfile_in(folder)?;
    fresh.write_all(bytes)?;
    // Not when it is made: the service's umask would take bits away.
    fresh.as_file().set_permissions(Permissions::from_mode(MODE))?;
    fresh.persist(file)?;
    Ok(())
}

/// To the log when it begins, becomes another or ends; to the status as long as it lasts.
fn tell(trouble: &Trouble, outcome: Result<(), String>) {
    let now = outcome.err();
    let mut before = trouble.lock().unwrap_or_else(PoisonError::into_inner);
    match (&*before, &now) {
        (old, Some(error)) if old.as_ref() != Some(error) => {
            tracing::warn!(error, "metrics are not written to their file");
        }
        (Some(_), None) => tracing::info!("metrics are written to their file again"),
        _ => {}
    }
    *before = now;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_and_everybody_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, elsewhere) =
            (folder.path().join("anetcon.prom"), folder.path().join("evidence"));
        fs::write(&elsewhere, "evidence").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        for text in ["one", "two"] {
            replace(&file, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
            let metadata = fs::symlink_metadata(&file).unwrap();
            assert!(metadata.is_file());
            assert_eq!(metadata.permissions().mode() & 0o777, MODE);
        }
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), "evidence", "no link is followed");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left lying about");
    }
}
