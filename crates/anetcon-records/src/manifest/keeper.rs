//! The thread `anetcon-manifest`: it lists what was rotated away, at its own pace. Nobody waits for it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::FILE_NAME;
use super::chain::{Chain, append};
use super::digest::digest;
use super::entry::{Entry, Hash};
use crate::file::LogFile;
use crate::search::files::{Content, family};
use crate::session::record::Micros;

/// How often it looks without being told. Whoever writes a file may not be us.
const EVERY: Duration = Duration::from_secs(30);

/// A file that was written to within this time may still be: its writer goes on with it for a moment after it was renamed.
const QUIET: Duration = Duration::from_secs(3);

/// How the manifest goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManifestStatus {
    /// Files that are listed.
    pub entries: u64,
    /// The hash of the last entry, in hex; empty while there is none.
    pub head: String,
    /// Why files cannot be listed.
    pub error: Option<String>,
}

/// Something that is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// A file was listed.
    File {
        /// Its name.
        file: String,
        /// The hash of its entry: the head of the chain now.
        head: Hash,
    },
    /// The chain is damaged, or a file cannot be read or the chain not be written.
    Trouble(String),
}

/// The handle.
#[derive(Debug)]
pub struct Manifest {
    sender: Sender<Message>,
    status: Arc<Mutex<ManifestStatus>>,
    /// A hundred files of weeks take minutes to read: an end does not wait for them.
    ending: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Message {
    Look,
    Logs(Vec<(PathBuf, Content)>),
    Close,
}

type OnEvent = Box<dyn FnMut(Listed) + Send>;

/// What a path stood for when it was read: device, inode, length and the time it was written last.
type Identity = (u64, u64, u64, i64, i64);

struct Keeper {
    logs: Vec<(PathBuf, Content)>,
    file: LogFile,
    head: Hash,
    listed: HashSet<Hash>,
    /// Files that were read, so that none is read twice.
    seen: HashMap<Identity, Hash>,
    started: SystemTime,
    status: Arc<Mutex<ManifestStatus>>,
    ending: Arc<AtomicBool>,
    on_event: OnEvent,
}

impl Manifest {
    /// Lists in `folder` what is rotated away from these live files, also what was before. `on_event` is called on the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        folder: &Path,
        logs: Vec<(PathBuf, Content)>,
        on_event: impl FnMut(Listed) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, inbox) = channel();
        let status = Arc::new(Mutex::new(ManifestStatus::default()));
        let ending = Arc::new(AtomicBool::new(false));
        let keeper = Keeper {
            logs,
            file: LogFile::new(folder.join(FILE_NAME)),
            head: Hash::ZERO,
            listed: HashSet::new(),
            seen: HashMap::new(),
            started: SystemTime::now(),
            status: Arc::clone(&status),
            ending: Arc::clone(&ending),
            on_event: Box::new(on_event),
        };
        let thread = thread::Builder::new()
            .name("anetcon-manifest".into())
            .spawn(move || keeper.run(&inbox))?;
        Ok(Self { sender, status, ending, thread: Mutex::new(Some(thread)) })
    }

    /// A file was rotated, perhaps.
    pub fn look(&self) {
        self.send(Message::Look);
    }

    /// The live files are others from now on.
    pub fn logs(&self, logs: Vec<(PathBuf, Content)>) {
        self.send(Message::Logs(logs));
    }

    /// How it goes.
    pub fn status(&self) -> ManifestStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the thread, after the file that it is reading.
    pub fn close(&self) {
        self.ending.store(true, Ordering::Relaxed);
        self.send(Message::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic has been told where it happened.
        let _ = thread.map(JoinHandle::join);
    }

    fn send(&self, message: Message) {
        // After the end nobody listens.
        let _ = self.sender.send(message);
    }
}

impl Keeper {
    fn run(mut self, inbox: &Receiver<Message>) {
        self.take_over();
        let mut wait = Duration::ZERO;
        loop {
            match inbox.recv_timeout(wait) {
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Logs(logs)) => self.logs = logs,
                Ok(Message::Look) | Err(RecvTimeoutError::Timeout) => {}
            }
            // Soon again where a file was not quiet yet.
            wait = if self.look() { EVERY } else { QUIET };
        }
    }

    fn take_over(&mut self) {
        match Chain::read(self.file.path()) {
            Ok(chain) => {
                for fault in &chain.faults {
                    self.trouble(&format!("{}: {fault}", self.file.path().display()));
                }
                self.head = chain.head;
                self.listed = chain.listed();
                self.publish(chain.entries.len() as u64, None);
            }
            Err(error) => {
                let path = self.file.path().to_owned();
                self.failed(&error, &path);
            }
        }
    }

    /// Lists what is not listed. `false`: something was left for later.
    fn look(&mut self) -> bool {
        let mut done = true;
        for (live, content) in self.logs.clone() {
            let mut rotated = match family(&live) {
                Ok(files) => files,
                Err(error) => {
                    self.failed(&error, &live);
                    continue;
                }
            };
            rotated.retain(|(path, series)| *path != live && series.is_empty());
            rotated.sort_by_key(|(path, _)| modified(path));
            for (path, _) in rotated {
                match self.consider(&path, &live, content) {
                    Ok(settled) => done &= settled,
                    // Packed and removed by logrotate just now: its other name comes next time.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => done = false,
                    Err(error) => self.failed(&error, &path),
                }
                if self.ending.load(Ordering::Relaxed) {
                    return true;
                }
            }
        }
        done
    }

    /// Lists a file unless it is listed. `false`: it may still be written to.
    fn consider(&mut self, path: &Path, live: &Path, content: Content) -> io::Result<bool> {
        let metadata = fs::metadata(path)?;
        let written = metadata.modified()?;
        let before = (
            metadata.dev(),
            metadata.ino(),
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec(),
        );
        if self.seen.contains_key(&before) {
            return Ok(true);
        }
        if written.elapsed().is_ok_and(|quiet| quiet < QUIET) {
            return Ok(false);
        }
        let digested = digest(path, content)?;
        let after = fs::metadata(path)?;
        if (after.dev(), after.ino(), after.len(), after.mtime(), after.mtime_nsec()) != before {
            return Ok(false);
        }
        if digested.bytes > 0 && !self.listed.contains(&digested.sha256) {
            let name =
                |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let entry = Entry {
                schema: 1,
                listed: Micros(Timestamp::now()),
                file: name(path),
                log: name(live),
                sha256: digested.sha256,
                bytes: digested.bytes,
                lines: digested.lines,
                first: digested.first.map(Micros),
                last: digested.last.map(Micros),
                late: written < self.started,
                previous: self.head,
            };
            self.list(entry)?;
        }
        self.seen.insert(before, digested.sha256);
        Ok(true)
    }

    fn list(&mut self, entry: Entry) -> io::Result<()> {
        self.head = append(&mut self.file, &entry)?;
        self.listed.insert(entry.sha256);
        let entries = self.status.lock().unwrap_or_else(PoisonError::into_inner).entries + 1;
        self.publish(entries, None);
        (self.on_event)(Listed::File { file: entry.file, head: self.head });
        Ok(())
    }

    fn failed(&mut self, error: &io::Error, path: &Path) {
        let text = format!("{}: {error}", path.display());
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if status.error.as_ref() != Some(&text) {
            self.trouble(&text);
        }
        self.publish(status.entries, Some(text));
    }

    fn trouble(&mut self, text: &str) {
        (self.on_event)(Listed::Trouble(text.to_owned()));
    }

    fn publish(&self, entries: u64, error: Option<String>) {
        let head = if entries == 0 { String::new() } else { self.head.to_string() };
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        *status = ManifestStatus { entries, head, error };
    }
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}
