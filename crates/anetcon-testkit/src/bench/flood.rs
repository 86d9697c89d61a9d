//! The generator: SYNs from a raw socket inside the instances' namespace, through the router, into the void.
//!
//! Each is a new connection to the router. Nobody answers: the outer host drops what is not for it.

use std::fs;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};

use super::packet::{self, Syn};
use crate::nat::Nat;
use crate::netns::unique;
use crate::topology::{self, Family, Router};

/// How many connections are made, how fast, by how many threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) threads: u8,
    /// Connections a second of all threads; `None`: as many as go.
    pub(super) rate: Option<u32>,
    pub(super) time: Duration,
}

/// What was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) packets: u64,
    pub(super) took: Duration,
}

/// A generator at work. It stops when this is dropped.
#[derive(Debug)]
pub(super) struct Flood {
    threads: Vec<JoinHandle<Result<Sent>>>,
    stop: Arc<AtomicBool>,
}

/// A router that hides its instances behind one address, and has a way to the addresses that are dialled. Its own table
/// of connections is new; what it may hold limits a run.
pub(super) fn router() -> Result<(Router, u64)> {
    let router = Router::named(&unique("bench"));
    Nat::Netlink.install(&router);
    topology::add_network(&router.netns, "192.0.2.0".parse()?, 24, Family::V4.addresses().remote)?;
    let max = router.netns.run(|| -> Result<u64> {
        // Long enough for a dump after a run to find every connection of it, short enough not to stay.
        topology::write_sysctl("netfilter/nf_conntrack_tcp_timeout_syn_sent", "30")?;
        let max = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max")?;
        max.trim().parse().context("nf_conntrack_max is no number")
    })?;
    Ok((router, (max / 10 * 9).min(packet::DISTINCT)))
}

impl Flood {
    /// Starts; at most `most` connections in all. One packet goes ahead, so that the neighbours know each other.
    pub(super) fn start(router: &Router, load: Load, most: u64) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut flood = Self { threads: Vec::new(), stop };
        for thread in 0..load.threads {
            let socket = router.inside.run(raw_socket).context("no raw socket")?;
            let stop = Arc::clone(&flood.stop);
            let run = move || send_all(&socket, load, u64::from(thread), most, &stop);
            flood.threads.push(thread::Builder::new().name("generator".into()).spawn(run)?);
        }
        Ok(flood)
    }

    /// Whether it has sent everything.
    pub(super) fn is_over(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Ends it early, or waits for its end if that is near.
    pub(super) fn finish(mut self, early: bool) -> Result<Sent> {
        self.stop.store(early, Ordering::Relaxed);
        let mut all = Sent { packets: 0, took: Duration::ZERO };
        for thread in self.threads.drain(..) {
            let sent = thread.join().map_err(|_| anyhow!("the generator panicked"))??;
            all = Sent { packets: all.packets + sent.packets, took: all.took.max(sent.took) };
        }
        ensure!(all.packets > 0, "the generator sent nothing");
        Ok(all)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Its outcome was wanted by nobody.
            let _ = thread.join();
        }
    }
}

fn raw_socket() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)
}

fn send_all(
    socket: &OwnedFd,
    load: Load,
    thread: u64,
    most: u64,
    stop: &AtomicBool,
) -> Result<Sent> {
    let threads = u64::from(load.threads);
    let (mut packets, mut number) = (0, thread);
    let mut next = || -> Result<()> {
        send(socket, &packet::syn(number))?;
        number += threads;
        Ok(())
    };
    next()?;
    packets += 1;
    thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    while packets < most / threads && start.elapsed() < load.time && !stop.load(Ordering::Relaxed) {
        let due = load.rate.map_or(64, |rate| {
            let due = f64::from(rate) / threads as f64 * start.elapsed().as_secs_f64();
            (due as u64).saturating_sub(packets)
        });
        for _ in 0..due {
            next()?;
        }
        packets += due;
        if load.rate.is_some() {
            thread::sleep(Duration::from_micros(500));
        }
    }
    Ok(Sent { packets, took: start.elapsed() })
}

fn send(socket: &OwnedFd, syn: &Syn) -> Result<()> {
    let to = SockaddrIn::from(SocketAddrV4::new(syn.destination, 0));
    loop {
        match sendto(socket.as_raw_fd(), &syn.bytes, &to, MsgFlags::empty()) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR | Errno::ENOBUFS | Errno::EAGAIN) => {}
            Err(errno) => return Err(errno).context("cannot send a SYN"),
        }
    }
}
