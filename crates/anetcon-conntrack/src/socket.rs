//! The netlink socket: opened or adopted, filtered, and read without ever waiting.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname,
    recvmsg, sendto, setsockopt, socket, sockopt,
};
use socket2::SockRef;

use crate::error::Error;
use crate::filter::{Filter, NEW_GROUP};

/// A conntrack event socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) fd: OwnedFd,
}

/// What a read found.
pub(crate) enum Received<'a> {
    /// One datagram of the kernel.
    Datagram(&'a [u8]),
    /// Something was lost before what is read next.
    Lost,
    /// Nothing is there.
    Nothing,
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread.
    pub(crate) fn open(filter: &Filter, buffer: usize) -> Result<Self, Error> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkNetFilter,
        )
        .map_err(failed("open a netfilter socket"))?;
        let socket = Self { fd };
        socket.enlarge(buffer)?;
        socket.join(0, filter)?;
        Ok(socket)
    }

    /// Takes over a socket that an earlier run of the agent opened.
    pub(crate) fn adopt(fd: OwnedFd, filter: &Filter, buffer: usize) -> Result<Self, Error> {
        let wanted = "a netfilter socket";
        let address = getsockname::<NetlinkAddr>(fd.as_raw_fd())
            .map_err(|_| Error::Adopted { found: "no netlink socket", wanted })?;
        let protocol = SockRef::from(&fd)
            .protocol()
            .map_err(failed("ask for the socket's protocol"))?
            .map(i32::from);
        if protocol != Some(libc::NETLINK_NETFILTER) {
            return Err(Error::Adopted { found: "a netlink socket of another family", wanted });
        }
        if address.groups() & NEW_GROUP == 0 {
            return Err(Error::Adopted {
                found: "a netfilter socket without the events of new connections",
                wanted: "one joined to them",
            });
        }
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .and_then(|_| fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)))
            .map_err(failed("make the adopted socket non-blocking"))?;
        let socket = Self { fd };
        socket.enlarge(buffer)?;
        socket.join(address.pid(), filter)?;
        Ok(socket)
    }

    /// Puts a filter in force; what already waits stays.
    pub(crate) fn refilter(&self, filter: &Filter) -> Result<(), Error> {
        let address = getsockname::<NetlinkAddr>(self.fd.as_raw_fd())
            .map_err(failed("ask for the socket's port"))?;
        self.join(address.pid(), filter)
    }

    /// The filter comes first, so that nothing unwanted is ever queued. Bound again with its own port a socket
    /// keeps it, and its groups become those that are given (`netlink_bind`).
    fn join(&self, portid: u32, filter: &Filter) -> Result<(), Error> {
        SockRef::from(&self.fd)
            .attach_filter(&filter.program())
            .map_err(failed("attach the filter of protocols"))?;
        bind(self.fd.as_raw_fd(), &NetlinkAddr::new(portid, filter.groups()))
            .map_err(failed("join the events of connections"))
    }

    /// Without privileges in the first user namespace only the system's limit can be had (net.core.rmem_max).
    fn enlarge(&self, buffer: usize) -> Result<(), Error> {
        setsockopt(&self.fd, sockopt::RcvBufForce, &buffer)
            .or_else(|_| setsockopt(&self.fd, sockopt::RcvBuf, &buffer))
            .map_err(failed("enlarge the receive buffer"))
    }

    pub(crate) fn send(&self, request: &[u8]) -> Result<(), Error> {
        let kernel = NetlinkAddr::new(0, 0);
        let fd = self.fd.as_raw_fd();
        uninterrupted(|| sendto(fd, request, &kernel, MsgFlags::MSG_DONTWAIT))
            .map(drop)
            .map_err(failed("ask the kernel for its connections"))
    }

    /// The next datagram that is already there. One that does not fit is cut, and so counts as lost.
    pub(crate) fn receive<'a>(&self, buffer: &'a mut [u8]) -> Result<Received<'a>, Error> {
        let length = loop {
            let received = uninterrupted(|| {
                let mut slices = [IoSliceMut::new(buffer)];
                let fd = self.fd.as_raw_fd();
                recvmsg::<NetlinkAddr>(fd, &mut slices, None, MsgFlags::MSG_DONTWAIT)
                    .map(|message| (message.bytes, message.flags, message.address))
            });
            match received {
                Ok((_, flags, _)) if flags.contains(MsgFlags::MSG_TRUNC) => {
                    return Ok(Received::Lost);
                }
                Ok((length, _, Some(address))) if address.pid() == 0 => break length,
                // Not the kernel's: any process may send to our port, and only port 0 is the kernel.
                Ok(_) => (),
                Err(Errno::EAGAIN) => return Ok(Received::Nothing),
                Err(Errno::ENOBUFS) => return Ok(Received::Lost),
                Err(errno) => return Err(failed("receive from the kernel")(errno)),
            }
        };
        Ok(buffer.get(..length).map_or(Received::Lost, Received::Datagram))
    }
}

fn uninterrupted<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => (),
            outcome => return outcome,
        }
    }
}

fn failed<E: Into<io::Error>>(action: &'static str) -> impl Fn(E) -> Error {
    move |source| Error::Socket { action, source: source.into() }
}
