//! Real traffic between two namespaces: TCP connections, UDP exchanges, ICMP echoes.
//!
//! Each answers what it was on both sides of the translation. Handshakes are the kernel's work, so no
//! thread is needed: connect, then accept, then talk.
#![allow(clippy::panic, reason = "traffic that does not flow ends the test, with the reason")]

use std::io::{IoSliceMut, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use crate::netns::Netns;
use crate::topology::{Family, Router, write_sysctl};

/// How often both sides speak: enough packets to see that only the first one is logged.
const ROUNDS: u8 = 5;
/// Ends a test whose packets go nowhere.
const PATIENCE: Duration = Duration::from_secs(5);

/// From whom to whom connections are made.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    /// Where the client runs.
    pub client: &'a Netns,
    /// The client's address.
    pub source: IpAddr,
    /// Where the server runs.
    pub server: &'a Netns,
    /// The server's own address.
    pub listen: IpAddr,
    /// The address that the client dials; differs from `listen` where the destination is translated.
    pub dial: IpAddr,
}

/// A connection that was made and ended, as each side saw it. For ICMP the ports are the echo's identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The client's own address and port.
    pub client: SocketAddr,
    /// What the client dialled.
    pub dialled: SocketAddr,
    /// What the server took the client for. Not known for ICMP, then the same as `client`.
    pub seen_client: SocketAddr,
    /// The server's own address and port.
    pub server: SocketAddr,
}

impl Router {
    /// From an instance without a floating IP to the remote.
    pub fn outgoing(&self, family: Family) -> Path<'_> {
        self.outgoing_from(family, family.addresses().instance)
    }

    /// From the instance with this address to the remote.
    pub fn outgoing_from(&self, family: Family, source: IpAddr) -> Path<'_> {
        let remote = family.addresses().remote;
        Path { client: &self.inside, source, server: &self.outside, listen: remote, dial: remote }
    }

    /// From the remote to the floating IP.
    pub fn to_floating(&self, family: Family) -> Path<'_> {
        let addresses = family.addresses();
        Path {
            client: &self.outside,
            source: addresses.remote,
            server: &self.inside,
            listen: addresses.floating_instance,
            dial: addresses.floating,
        }
    }
}

impl Path<'_> {
    /// One TCP connection with several packets each way, closed by both sides.
    pub fn connect(&self) -> Connection {
        self.expect("TCP", self.try_connect())
    }

    /// This many TCP connections, one after the other.
    pub fn connect_many(&self, count: usize) -> Vec<Connection> {
        let connections = || {
            let listener = self.listener()?;
            (0..count).map(|_| self.connect_to(&listener)).collect()
        };
        self.expect("TCP", connections())
    }

    /// As [`connect`](Self::connect), for who can go on without it.
    ///
    /// # Errors
    /// When packets do not arrive within some seconds, or are refused.
    pub fn try_connect(&self) -> Result<Connection> {
        self.connect_to(&self.listener()?)
    }

    /// Several UDP datagrams each way between one pair of ports.
    pub fn exchange_datagrams(&self) -> Connection {
        self.expect("UDP", self.try_exchange_datagrams())
    }

    /// Several ICMP echo requests with one identifier, each answered.
    pub fn echo(&self) -> Connection {
        self.expect("ICMP echo", self.try_echo())
    }

    fn expect<T>(&self, what: &str, outcome: Result<T>) -> T {
        let (source, dial) = (self.source, self.dial);
        outcome.unwrap_or_else(|error| panic!("no {what} from {source} to {dial}: {error:#}"))
    }

    fn listener(&self) -> Result<TcpListener> {
        let listener = self.server.run(|| TcpListener::bind((self.listen, 0)))?;
        // On Linux a listening socket's receive timeout also limits accept(2).
        setsockopt(&listener, sockopt::ReceiveTimeout, &patience())?;
        Ok(listener)
    }

    fn connect_to(&self, listener: &TcpListener) -> Result<Connection> {
        let server = listener.local_addr()?;
        let dialled = SocketAddr::new(self.dial, server.port());
        let mut near = self.client.run(|| dial(self.source, dialled)).context("cannot connect")?;
        let (mut far, seen_client) = listener.accept().context("cannot accept")?;
        let client = near.local_addr()?;
        for stream in [&near, &far] {
            stream.set_read_timeout(Some(PATIENCE))?;
        }
        for round in 0..ROUNDS {
            pass(&mut near, &mut far, round).context("client to server")?;
            pass(&mut far, &mut near, round).context("server to client")?;
        }
        drop(near);
        ensure!(far.read(&mut [0])? == 0, "the server did not see the end");
        Ok(Connection { client, dialled, seen_client, server })
    }

    fn try_exchange_datagrams(&self) -> Result<Connection> {
        let far = self.server.run(|| UdpSocket::bind((self.listen, 0)))?;
        let near = self.client.run(|| UdpSocket::bind((self.source, 0)))?;
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(PATIENCE))?;
        }
        let (client, server) = (near.local_addr()?, far.local_addr()?);
        let dialled = SocketAddr::new(self.dial, server.port());
        let mut seen_client = client;
        for round in 0..ROUNDS {
            let mut heard = [!round];
            near.send_to(&[round], dialled)?;
            (_, seen_client) = far.recv_from(&mut heard).context("at the server")?;
            ensure!(heard == [round], "the server heard {heard:?} instead of {round}");
            far.send_to(&heard, seen_client)?;
            near.recv_from(&mut heard).context("at the client")?;
        }
        Ok(Connection { client, dialled, seen_client, server })
    }

    fn try_echo(&self) -> Result<Connection> {
        let socket = self.client.run(|| echo_socket(self.source))?;
        let client: SockaddrStorage = socket::getsockname(socket.as_raw_fd())?;
        let client = to_std(&client).context("not an IP socket")?;
        let request_type = if self.dial.is_ipv4() { 8 } else { 128 };
        for sequence in 0..ROUNDS {
            // Type, code, checksum and identifier (the kernel's part), sequence number, one byte of data.
            let request = [request_type, 0, 0, 0, 0, 0, 0, sequence, sequence];
            let to = SockaddrStorage::from(SocketAddr::new(self.dial, 0));
            socket::sendto(socket.as_raw_fd(), &request, &to, socket::MsgFlags::empty())?;
            let mut reply = [0; 64];
            let length = receive(&socket, &mut reply).context("no reply")?;
            let wanted: &[u8] = &[sequence, sequence];
            ensure!(reply.get(7..length) == Some(wanted), "another reply: {reply:?}");
        }
        let port = client.port();
        let (dialled, server) =
            (SocketAddr::new(self.dial, port), SocketAddr::new(self.listen, port));
        Ok(Connection { client, dialled, seen_client: client, server })
    }
}

/// A TCP connection from a given address: std cannot choose it.
fn dial(source: IpAddr, to: SocketAddr) -> Result<TcpStream> {
    let socket = socket::socket(
        family(source),
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::Tcp,
    )?;
    // The send timeout also limits connect(2), which then fails with EINPROGRESS.
    setsockopt(&socket, sockopt::SendTimeout, &patience())?;
    socket::bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0)))?;
    socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(to)).map_err(
        |errno| match errno {
            Errno::EINPROGRESS => Errno::ETIMEDOUT,
            other => other,
        },
    )?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn pass(from: &mut TcpStream, to: &mut TcpStream, byte: u8) -> Result<()> {
    let mut heard = [!byte];
    from.write_all(&[byte])?;
    to.read_exact(&mut heard)?;
    ensure!(heard == [byte], "heard {heard:?} instead of {byte}");
    Ok(())
}

/// An ICMP socket as ping(8) uses it where it may not open raw ones: the kernel fills in identifier and
/// checksum and hands over only the replies to this socket. Needs leave by sysctl (icmp(7)).
fn echo_socket(source: IpAddr) -> Result<OwnedFd> {
    write_sysctl("ipv4/ping_group_range", "0 2147483647")?;
    let protocol = if source.is_ipv4() { SockProtocol::Icmp } else { SockProtocol::IcmpV6 };
    let socket =
        socket::socket(family(source), SockType::Datagram, SockFlag::SOCK_CLOEXEC, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &patience())?;
    socket::bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0)))?;
    Ok(socket)
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<usize> {
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        socket::recvmsg::<()>(socket.as_raw_fd(), &mut parts, None, socket::MsgFlags::empty())?;
    Ok(message.bytes)
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|&v4| SocketAddr::V4(v4.into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|&v6| SocketAddr::V6(v6.into())))
}

fn patience() -> TimeVal {
    TimeVal::new(PATIENCE.as_secs().cast_signed(), 0)
}
