//! Connections of a namespace with itself: the least that makes a rule count and the kernel log.
#![allow(clippy::panic, reason = "a connection that fails ends the test, with the reason")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use crate::netns::Netns;

/// A namespace's loopback interface, up, and somebody who listens there. It keeps the namespace alive.
#[derive(Debug)]
pub struct Loopback<'a> {
    netns: &'a Netns,
    listener: TcpListener,
    server: SocketAddr,
}

impl<'a> Loopback<'a> {
    /// Starts to listen.
    pub fn of(netns: &'a Netns) -> Self {
        netns.bring_lo_up();
        let listen = || -> io::Result<_> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let server = listener.local_addr()?;
            Ok((listener, server))
        };
        let (listener, server) =
            netns.run(listen).unwrap_or_else(|error| panic!("cannot listen on lo: {error}"));
        Self { netns, listener, server }
    }

    /// Makes one connection, and tells how its line in the log can be known.
    pub fn connect(&self) -> String {
        self.connect_while(|made| made < 1).remove(0)
    }

    /// As [`connect`](Self::connect), one after the other, as long as `more` says so of the number made so far.
    pub fn connect_while(&self, mut more: impl FnMut(usize) -> bool + Send) -> Vec<String> {
        let connections = || -> io::Result<Vec<String>> {
            let mut marks = Vec::new();
            while more(marks.len()) {
                let stream = TcpStream::connect(self.server)?;
                let client = stream.local_addr()?.port();
                self.listener.accept()?;
                marks.push(format!(" SPT={client} DPT={} ", self.server.port()));
            }
            Ok(marks)
        };
        let made = self.netns.run(connections);
        made.unwrap_or_else(|error| panic!("no connection over lo: {error}"))
    }
}
