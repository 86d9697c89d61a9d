//! The only way into a namespace: one thread that goes in, does a job, and comes back.
//!
//! setns(2) moves a thread, not a process. A tokio worker that had been moved would run somebody else's
//! next job in the wrong namespace, so no other thread of ours ever calls setns. Sockets stay in the
//! namespace they were made in, whichever thread uses them later: jobs make them and hand them back.

use std::any::Any;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

use crate::Error;
use crate::ready::{is_namespace, is_ready};

/// Which namespace to enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetnsRef {
    /// The namespace this process runs in.
    Root,
    /// The one mounted on this file.
    Path(PathBuf),
}

/// A handle to the opener thread, which ends with the last handle. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Opener {
    jobs: mpsc::Sender<Job>,
}

type Job = Box<dyn FnOnce(&Home) + Send>;

impl Opener {
    /// Starts the thread. The namespace of the caller is the one it takes for the root namespace.
    pub fn start() -> Result<Self, Error> {
        let path = Path::new("/proc/thread-self/ns/net");
        let home =
            Home(File::open(path).map_err(|error| Error::at("remember namespace", path, error))?);
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("anetcon-opener".to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job(&home)))
            .map_err(|error| Error::at("start the thread that enters from", path, error))?;
        Ok(Self { jobs })
    }

    /// Runs `work` inside `netns` and waits for its value. Jobs run one after the other, so `work` should
    /// be short: open sockets, hand them back. Not for use in async code, see [`Opener::within_async`].
    pub fn within<T: Send + 'static>(
        &self,
        netns: &NetnsRef,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.submit(netns, work, move |result| drop(reply.send(result)))?;
        answer.recv().map_err(|_| Error::Stopped)?
    }

    /// As [`Opener::within`], for async code. Once submitted the work is done even if nobody waits for
    /// it any more; its value is then dropped.
    pub async fn within_async<T: Send + 'static>(
        &self,
        netns: &NetnsRef,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.submit(netns, work, move |result| drop(reply.send(result)))?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    fn submit<T>(
        &self,
        netns: &NetnsRef,
        work: impl FnOnce() -> T + Send + 'static,
        reply: impl FnOnce(Result<T, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let netns = netns.clone();
        let job: Job = Box::new(move |home| reply(home.visit(&netns, work)));
        self.jobs.send(job).map_err(|_| Error::Stopped)
    }
}

/// The namespace the opener thread comes back to after each job.
struct Home(File);

impl Home {
    fn visit<T>(&self, netns: &NetnsRef, work: impl FnOnce() -> T) -> Result<T, Error> {
        match netns {
            NetnsRef::Root => caught(work),
            NetnsRef::Path(path) => {
                enter(path)?;
                let result = caught(work);
                self.go_back();
                result
            }
        }
    }

    fn go_back(&self) {
        // A thread in the wrong namespace would programme rules there under another one's name.
        if setns(&self.0, CloneFlags::CLONE_NEWNET).is_err() {
            std::process::abort();
        }
    }
}

/// Moves this thread. The file is closed right away, since an open one would keep a deleted namespace alive.
fn enter(path: &Path) -> Result<(), Error> {
    let not_ready = || Error::NotReady { path: path.to_owned() };
    if !is_ready(path)? {
        return Err(not_ready());
    }
    let file = File::open(path).map_err(|error| Error::at("open", path, error))?;
    // Looked at again: the name may have been deleted and made again in between.
    if !is_namespace(&file).map_err(|error| Error::at("examine", path, error))? {
        return Err(not_ready());
    }
    // The flag is not a formality: systemd's RestrictNamespaces refuses setns without one.
    setns(&file, CloneFlags::CLONE_NEWNET)
        .map_err(|errno| Error::at("enter", path, io::Error::from(errno)))
}

fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    // Whatever state `work` left half-done was its own and is dropped with it.
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|panic| Error::Panicked { message: message(panic.as_ref()) })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
