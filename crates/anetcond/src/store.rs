//! Sockets that outlive the agent: they are kept open in the service manager's file descriptor store (`FileDescriptorStoreMax=`,
//! sd_notify(3)), so that tables stay owned and connection events wait while no agent runs.
//!
//! What is stored is named by what it is for and by the cookie of its namespace: `r-1003` programs rules, `c-1003` hears of
//! connections, `n-0` claims the sysctl over a restart, `k-0` reads the kernel log. Several names, for a removal drops all of
//! a name. The manager compares a new descriptor with all that it has, so storing a thousand namespaces takes it seconds: a
//! thread of its own does it, `anetcon-store`, after the agent is ready.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anetcon_core::netns::NetnsCookie;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sd_notify::NotifyState;

/// How long the manager is waited for. It answers within milliseconds, unless the machine is starting a hundred services.
const PATIENCE: Duration = Duration::from_secs(5);

/// In the place of a namespace, for what belongs to none.
pub const NOWHERE: NetnsCookie = NetnsCookie(0);

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// Programs the rules, and owns the table.
    Rules,
    /// Hears of connections.
    Connections,
    /// Claims nf_log_all_netns, from one run to the next of a restart.
    Claim,
    /// Reads the kernel log, from `anetcond --hand-over-kernel-log` to the agent that starts after it.
    KernelLog,
}

/// The store, or that there is none.
#[derive(Debug)]
pub struct Store {
    enabled: bool,
    /// The agent ends: what is kept stays.
    ending: AtomicBool,
    state: Mutex<State>,
    sender: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    /// What the run before has left to us, until somebody takes it.
    inherited: BTreeMap<(Use, NetnsCookie), OwnedFd>,
    /// What the manager has, or is going to have.
    kept: BTreeSet<(Use, NetnsCookie)>,
}

#[derive(Debug)]
enum Message {
    Keep(String, OwnedFd),
    Forget(String),
    Ready,
    Close,
}

impl Store {
    /// Takes what the service manager hands over, and finds out whether it keeps anything. To be called before anything else
    /// opens a file.
    pub fn open() -> Self {
        let (inherited, strange) = inherited();
        let enabled = !inherited.is_empty() || keeps().unwrap_or(false);
        let (sender, inbox) = channel();
        let thread =
            thread::Builder::new().name("anetcon-store".into()).spawn(move || work(&inbox));
        for name in strange {
            // The thread has just been started; if it was not, nothing is stored either.
            let _ = sender.send(Message::Forget(name));
        }
        let kept = inherited.keys().copied().collect();
        let state = Mutex::new(State { inherited, kept });
        let enabled = enabled && thread.is_ok();
        let (ending, thread) = (AtomicBool::new(false), Mutex::new(thread.ok()));
        Self { enabled, ending, state, sender, thread }
    }

    /// Whether sockets are kept over a restart.
    pub fn keeps(&self) -> bool {
        self.enabled
    }

    /// The socket that the run before has left for a namespace. It is in the store and stays there.
    pub fn take(&self, purpose: Use, cookie: NetnsCookie) -> Option<OwnedFd> {
        self.state().inherited.remove(&(purpose, cookie))
    }

    /// Keeps a socket from now on, if there is a store and it has none for this.
    pub fn keep(&self, purpose: Use, cookie: NetnsCookie, socket: &impl AsFd) {
        if !self.enabled || !self.state().kept.insert((purpose, cookie)) {
            return;
        }
        match socket.as_fd().try_clone_to_owned() {
            Ok(fd) => self.send(Message::Keep(name(purpose, cookie), fd)),
            Err(error) => {
                tracing::warn!(%error, "a socket is not kept over a restart");
                self.state().kept.remove(&(purpose, cookie));
            }
        }
    }

    /// Keeps a socket no longer: as long as it is open somewhere its namespace stays, and its table.
    pub fn forget(&self, purpose: Use, cookie: NetnsCookie) {
        if self.ending.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state();
        drop(state.inherited.remove(&(purpose, cookie)));
        if state.kept.remove(&(purpose, cookie)) {
            drop(state);
            self.send(Message::Forget(name(purpose, cookie)));
        }
    }

    /// Every namespace has been looked at: what nobody took belongs to those that are gone. From now on the manager has time.
    pub fn ready(&self) {
        let left: Vec<_> = self.state().inherited.keys().copied().collect();
        for (purpose, cookie) in left {
            self.forget(purpose, cookie);
        }
        self.send(Message::Ready);
    }

    /// The agent ends: from now on nothing is taken out, for another one is to go on with it. After a stop the manager itself
    /// closes everything.
    pub fn leave(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Waits until the manager has everything.
    pub fn close(&self) {
        self.send(Message::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic has been told where it happened.
        let _ = thread.map(JoinHandle::join);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, message: Message) {
        // After the end there is nothing to keep.
        let _ = self.sender.send(message);
    }
}

fn name(purpose: Use, cookie: NetnsCookie) -> String {
    match purpose {
        Use::Rules => format!("r-{cookie}"),
        Use::Connections => format!("c-{cookie}"),
        Use::Claim => format!("n-{cookie}"),
        Use::KernelLog => format!("k-{cookie}"),
    }
}

fn parse(name: &str) -> Option<(Use, NetnsCookie)> {
    let (purpose, cookie) = name.split_once('-')?;
    let purpose = match purpose {
        "r" => Use::Rules,
        "c" => Use::Connections,
        "n" => Use::Claim,
        "k" => Use::KernelLog,
        _ => return None,
    };
    u64::from_str_radix(cookie, 16).ok().map(|cookie| (purpose, NetnsCookie(cookie)))
}

/// Stores something from another process of the service, before the agent is there, and waits until the manager has it.
///
/// # Errors
/// There is no service manager, or it does not answer.
pub fn put(purpose: Use, cookie: NetnsCookie, fd: &impl AsFd) -> io::Result<()> {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Err(io::Error::other("no service manager has started this"));
    }
    store(&name(purpose, cookie), fd)?;
    barrier()
}

/// What is handed over, and the names of what is not ours or comes twice: it is closed.
fn inherited() -> (BTreeMap<(Use, NetnsCookie), OwnedFd>, BTreeSet<String>) {
    let names: Vec<String> = match sd_notify::listen_fds_with_names() {
        Ok(named) => named.map(|(_, name)| name).collect(),
        Err(error) => {
            tracing::warn!(%error, "what the service manager hands over is not understood");
            Vec::new()
        }
    };
    let (mut ours, mut strange) = (BTreeMap::new(), BTreeSet::new());
    for (fd, name) in anetcon_host::inherited(names.len()).into_iter().zip(names) {
        match (fd, parse(&name)) {
            (Some(fd), Some(key)) if !ours.contains_key(&key) => drop(ours.insert(key, fd)),
            _ => drop(strange.insert(name)),
        }
    }
    (ours, strange)
}

/// Whether the manager keeps what it is given: it is given one end of a pair, and the other end tells whether that is still
/// open. From version 254 on it says so in the environment, before that it does not.
fn keeps() -> io::Result<bool> {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(false);
    }
    if let Ok(limit) = std::env::var("FDSTORE") {
        return Ok(limit.parse().is_ok_and(|limit: u32| limit > 0));
    }
    const PROBE: &str = "probe";
    let (given, ours) = UnixStream::pair()?;
    sd_notify::notify_with_fds(
        &[NotifyState::FdStore, NotifyState::FdName(PROBE)],
        &[given.as_fd()],
    )?;
    drop(given);
    barrier()?;
    let closed = is_closed(&ours, Duration::ZERO)?;
    sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(PROBE)])?;
    Ok(!closed)
}

/// Waits until the manager has worked on everything that it was told (`BARRIER=1`: it closes what it is given, after that).
fn barrier() -> io::Result<()> {
    let (reader, writer): (PipeReader, _) = io::pipe()?;
    sd_notify::notify_with_fds(&[NotifyState::Custom("BARRIER=1")], &[writer.as_fd()])?;
    drop(writer);
    match is_closed(&reader, PATIENCE)? {
        true => Ok(()),
        false => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Whether the other end is closed, or is within the time.
fn is_closed(end: &impl AsFd, limit: Duration) -> io::Result<bool> {
    let mut polled = [PollFd::new(end.as_fd(), PollFlags::empty())];
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    poll(&mut polled, limit)?;
    let events = polled.first().and_then(PollFd::revents);
    Ok(events.is_some_and(|events| events.contains(PollFlags::POLLHUP)))
}

fn work(inbox: &Receiver<Message>) {
    let mut waiting = Some(Vec::new());
    for message in inbox {
        match (message, &mut waiting) {
            (Message::Keep(name, fd), Some(waiting)) => waiting.push((name, fd)),
            (Message::Keep(name, fd), None) => tell(&name, store(&name, &fd)),
            (Message::Forget(name), waiting) => {
                waiting.iter_mut().for_each(|waiting| waiting.retain(|(other, _)| *other != name));
                tell(&name, remove(&name));
            }
            (Message::Ready, _) => {
                for (name, fd) in waiting.take().unwrap_or_default() {
                    tell(&name, store(&name, &fd));
                }
            }
            (Message::Close, _) => return,
        }
    }
}

/// Without polling: a socket of connection events that ran over shows an error, and would be dropped for it.
fn store(name: &str, fd: &impl AsFd) -> io::Result<()> {
    let states = [NotifyState::FdStore, NotifyState::FdName(name), NotifyState::Custom("FDPOLL=0")];
    sd_notify::notify_with_fds(&states, &[fd.as_fd()])
}

/// Until the manager has done it the name must not be used again: it would drop the new one with the old.
fn remove(name: &str) -> io::Result<()> {
    sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)])?;
    barrier()
}

fn tell(name: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(name, %error, "the service manager's file descriptor store could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_for_and_where() {
        for (purpose, cookie, text) in [
            (Use::Rules, 0x1003, "r-1003"),
            (Use::Connections, u64::MAX, "c-ffffffffffffffff"),
            (Use::Claim, 0, "n-0"),
            (Use::KernelLog, 0, "k-0"),
        ] {
            assert_eq!(name(purpose, NetnsCookie(cookie)), text);
            assert_eq!(parse(text), Some((purpose, NetnsCookie(cookie))));
        }
        for strange in ["", "r", "x-1003", "r-", "r-10g3", "probe"] {
            assert_eq!(parse(strange), None, "{strange}");
        }
    }
}
