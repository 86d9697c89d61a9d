//! Connections over the loopback of namespaces inside the machine, each with a mark that its line and record show.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Socket, Type};

/// Three threads make some 110 connections a second: the kernel's ring of 600 lines holds those of five seconds, and a start of the
/// agent beside other work can take one or two.
const PAUSE: Duration = Duration::from_millis(25);

/// The ports that connections come from, one after the other.
const CLIENTS: Range<u16> = 21_000..65_000;

/// Ports of a connection: the client's, the server's.
pub type Ports = (u16, u16);

/// How often each connection is to be found.
pub type Count = BTreeMap<Ports, usize>;

/// A thread that connects and connects.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Ports>>>,
}

impl Traffic {
    /// Begins in the namespace of this file, to this port, which is in no other namespace: so no two connections are alike.
    pub fn start(netns: PathBuf, port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let file = File::open(netns).expect("the namespace is there");
            setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter it");
            let listener =
                TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
            let server = listener.local_addr().expect("it is bound");
            // The ports that the kernel would choose can come round again, and two connections would be alike.
            let mut ports = CLIENTS.cycle();
            let mut made = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let client = ports.next().expect("they never end");
                let stream = connect(client, server).expect("somebody listens");
                let accepted = listener.accept().expect("somebody connected");
                made.push((client, server.port()));
                drop(stream);
                drop(accepted);
                thread::sleep(PAUSE);
            }
            made
        });
        Self { stop, thread: Some(thread) }
    }

    /// Ends, and tells every connection that was made, in order.
    pub fn stop(mut self) -> Vec<Ports> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it runs until it is stopped");
        thread.join().expect("every connection is made")
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn connect(port: u16, server: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.connect(&server.into())?;
    Ok(socket)
}

/// How often each occurs.
pub fn count(ports: impl IntoIterator<Item = Ports>) -> Count {
    let mut count = Count::new();
    for ports in ports {
        *count.entry(ports).or_default() += 1;
    }
    count
}

/// Of each connection that is found another number of times: the ports, the number, and the right one.
pub fn differences(made: &Count, found: &Count) -> Vec<(Ports, usize, usize)> {
    let number = |count: &Count, ports: &Ports| count.get(ports).copied().unwrap_or_default();
    let all = made.keys().chain(found.keys().filter(|ports| !made.contains_key(ports)));
    all.map(|ports| (*ports, number(found, ports), number(made, ports)))
        .filter(|(_, found, made)| found != made)
        .collect()
}
