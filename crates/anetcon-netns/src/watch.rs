//! Tells when named namespaces come and go.
//!
//! inotify on each folder gives the names; the mount that makes a file a namespace shows in
//! /proc/self/mountinfo (proc(5): poll(2) reports POLLPRI after a change). No file of a namespace is ever
//! kept open here, so a deleted one is never kept alive.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anetcon_core::netns::NetnsName;
use futures_util::future::select_all;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use crate::Error;
use crate::folder::{Sign, Watch};
use crate::list::{files, name_of};
use crate::pending::{Pending, Which};
use crate::roster::{FolderIndex, Roster};

/// A namespace came or went. Files whose names stand for no namespace are passed over; a listing
/// reports them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It can be entered now. Every namespace that is there at the start appears, too.
    Appeared {
        /// Its name.
        name: NetnsName,
        /// Its file.
        path: PathBuf,
    },
    /// Its file is gone: let go of it, or its interfaces stay. Sent also when a new one of the same name
    /// follows at once.
    Vanished {
        /// Its name.
        name: NetnsName,
    },
    /// The kernel dropped events. Names that came or went are told after this; of every other one
    /// the identity has to be compared, for it may have been deleted and made again.
    Lost,
}

/// Watches the netns folders. Belongs to the tokio runtime it was started in.
#[derive(Debug)]
pub struct Watcher {
    folders: Vec<Folder>,
    roster: Roster,
    pending: Pending,
    mounts: AsyncFd<File>,
    second_look: Interval,
    told: VecDeque<Result<Event, Error>>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// `None` while it cannot be watched at all.
    watch: Option<Watch>,
    /// Why not, as told.
    failure: Option<String>,
}

/// How often the folders' identities are compared: only for what neither inotify nor mountinfo tells.
const SECOND_LOOK: Duration = Duration::from_secs(1);

enum Wake {
    Sign(FolderIndex, io::Result<Sign>),
    Mounted,
    Due,
    SecondLook,
}

impl Watcher {
    /// Starts to watch `directories`, which need not exist yet. The first events are the namespaces that
    /// are there already.
    ///
    /// Errors: /proc/self/mountinfo cannot be watched. Must be called inside a tokio runtime.
    pub fn start(directories: &[PathBuf]) -> Result<Self, Error> {
        let mounts = watch_mounts()?;
        let mut second_look = interval_at(Instant::now() + SECOND_LOOK, SECOND_LOOK);
        second_look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let folder = |path: &PathBuf| Folder { path: path.clone(), watch: None, failure: None };
        let mut watcher = Self {
            folders: directories.iter().map(folder).collect(),
            roster: Roster::default(),
            pending: Pending::default(),
            mounts,
            second_look,
            told: VecDeque::new(),
        };
        (0..directories.len()).for_each(|folder| watcher.attach(folder));
        watcher.look_at_pending(Which::Due);
        Ok(watcher)
    }

    /// The next event. Cancel-safe. An error is about one file or one folder and is told once; the
    /// watcher keeps trying, so go on calling this.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return told;
            }
            let wake = self.wait().await;
            self.take(wake);
        }
    }

    async fn wait(&mut self) -> Wake {
        let due = self.pending.next_look();
        let due = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        };
        tokio::select! {
            (folder, sign) = next_sign(&mut self.folders) => Wake::Sign(folder, sign),
            () = mounted(&self.mounts) => Wake::Mounted,
            () = due => Wake::Due,
            _ = self.second_look.tick() => Wake::SecondLook,
        }
    }

    /// Reads what inotify has to say already before it looks at any file, so that a file deleted and
    /// made again meanwhile is not announced twice.
    fn take(&mut self, wake: Wake) {
        let which = if matches!(wake, Wake::Mounted) { Which::All } else { Which::Due };
        match wake {
            Wake::Sign(folder, sign) => self.take_sign(folder, sign),
            Wake::Mounted | Wake::SecondLook => self.look_at_folders(),
            Wake::Due => {}
        }
        for folder in 0..self.folders.len() {
            while let Some(sign) = self.sign_now(folder) {
                self.take_sign(folder, sign);
            }
        }
        self.look_at_pending(which);
    }

    fn sign_now(&mut self, folder: FolderIndex) -> Option<io::Result<Sign>> {
        self.folders.get_mut(folder)?.watch.as_mut()?.sign_now()
    }

    fn take_sign(&mut self, folder: FolderIndex, sign: io::Result<Sign>) {
        match sign {
            Ok(Sign::Made(file)) => {
                name_of(&file).into_iter().for_each(|name| self.expect(folder, name))
            }
            Ok(Sign::Removed(file)) => {
                name_of(&file).into_iter().for_each(|name| self.remove(folder, &name));
            }
            Ok(Sign::Moved) => self.reattach(folder),
            Ok(Sign::Lost) => {
                self.told.push_back(Ok(Event::Lost));
                self.attach(folder);
            }
            Ok(Sign::Nothing) => {}
            Err(error) => self.fail(folder, |path| Error::at("read the events of", path, error)),
        }
    }

    /// Finds folders that were replaced, that came, or that could not be watched so far.
    fn look_at_folders(&mut self) {
        for index in 0..self.folders.len() {
            let watch = self.folders.get(index).and_then(|folder| folder.watch.as_ref());
            if !watch.is_some_and(Watch::is_current) {
                self.reattach(index);
            }
        }
    }

    /// This path leads to another folder now: whatever was in the old one is gone.
    fn reattach(&mut self, folder: FolderIndex) {
        for name in self.roster.names_in(folder) {
            self.remove(folder, &name);
        }
        self.pending.forget_folder(folder);
        self.attach(folder);
    }

    /// Sets the watch anew, then compares what is in the folder with what is known of it.
    fn attach(&mut self, index: FolderIndex) {
        let Some(folder) = self.folders.get_mut(index) else { return };
        // First, as a user has only 128 inotify instances (fs.inotify.max_user_instances).
        folder.watch = None;
        let attached = Watch::on(&folder.path)
            .and_then(|watch| files(&folder.path).map(|found| (watch, found)));
        let found = match attached {
            Ok((watch, found)) => {
                folder.watch = Some(watch);
                folder.failure = None;
                found
            }
            Err(error) => return self.fail(index, |_| error),
        };
        let found: BTreeSet<_> =
            found.iter().filter_map(|path| name_of(path.file_name()?).ok()).collect();
        for known in self.roster.names_in(index) {
            if !found.contains(&known) {
                self.remove(index, &known);
            }
        }
        found.into_iter().for_each(|name| self.expect(index, name));
    }

    /// A folder that cannot be watched is tried again at each second look.
    fn fail(&mut self, folder: FolderIndex, error: impl FnOnce(&Path) -> Error) {
        let Some(folder) = self.folders.get_mut(folder) else { return };
        let error = error(&folder.path);
        let reason = Some(format!("{error:?}"));
        folder.watch = None;
        if folder.failure != reason {
            folder.failure = reason;
            self.told.push_back(Err(error));
        }
    }

    /// A file is there. If it is known, both the scan and inotify have seen it.
    fn expect(&mut self, index: FolderIndex, name: NetnsName) {
        let Some(folder) = self.folders.get(index) else { return };
        if !self.roster.holds(&name, index) {
            let path = folder.path.join(name.as_str());
            self.pending.expect(name, index, path);
        }
    }

    fn remove(&mut self, folder: FolderIndex, name: &NetnsName) {
        self.pending.forget(name, folder);
        self.told.extend(self.roster.remove(name, folder).into_iter().map(Ok));
    }

    fn look_at_pending(&mut self, which: Which) {
        for seen in self.pending.look(which) {
            match seen {
                Ok(ready) => {
                    let events = self.roster.add(&ready.name, ready.folder, &ready.path);
                    self.told.extend(events.into_iter().map(Ok));
                }
                Err(error) => self.told.push_back(Err(error)),
            }
        }
    }
}

/// The next sign from any folder. Cancel-safe: only one future takes an event, and that one wins.
async fn next_sign(folders: &mut [Folder]) -> (FolderIndex, io::Result<Sign>) {
    let watches = folders.iter_mut().enumerate();
    let signs: Vec<_> = watches
        .filter_map(|(index, folder)| Some((index, folder.watch.as_mut()?)))
        .map(|(index, watch)| Box::pin(async move { (index, watch.sign().await) }))
        .collect();
    if signs.is_empty() {
        return pending().await;
    }
    select_all(signs).await.0
}

#[expect(deprecated, reason = "its successor is an unsafe fn; an owned File keeps its descriptor")]
fn watch_mounts() -> Result<AsyncFd<File>, Error> {
    let path = Path::new("/proc/self/mountinfo");
    File::open(path)
        .and_then(|file| AsyncFd::with_interest(file, Interest::PRIORITY))
        .map_err(|error| Error::at("watch", path, error))
}

/// Something was mounted or unmounted somewhere.
async fn mounted(mounts: &AsyncFd<File>) {
    match mounts.ready(Interest::PRIORITY).await {
        Ok(mut guard) => guard.clear_ready(),
        // Only when the runtime shuts down.
        Err(_) => pending().await,
    }
}
