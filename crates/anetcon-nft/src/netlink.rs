//! One netlink socket of the netfilter family: opened or adopted, sending and receiving without ever waiting.
//!
//! The kernel works on a request inside `sendmsg` and queues the answers before that returns, so whatever is
//! not there at once is missing. What the bytes mean is not known here.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anetcon_core::netns::NetnsCookie;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockname,
    recvmsg, sendmsg, setsockopt, socket, sockopt,
};

use crate::error::Error;
use crate::ffi::{self, Buffer};

/// Upper limit of what may wait for us in the kernel. It is a limit, not an allocation.
const QUEUE: usize = 1 << 20;
/// What may be sent at once without asking: less than the default of every system (net.core.wmem_default).
const SMALL: usize = 64 << 10;
/// Larger than any datagram: the kernel fills up to 32 KiB of a dump at once, and events are smaller.
const DATAGRAM: usize = 64 << 10;

/// The port (`nl_pid`) of a netlink socket: how the kernel tells whose change an event reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortId(pub u32);

/// An open socket.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread, joined to the multicast groups of the mask.
    pub(crate) fn open(groups: u32) -> Result<Self, Error> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkNetFilter,
        )
        .map_err(failed("open a netfilter socket"))?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))
            .map_err(failed("bind the netfilter socket"))?;
        Self::prepare(fd)
    }

    /// Takes over a socket that an earlier run of the agent opened. It must be joined to the groups of the mask.
    pub(crate) fn adopt(fd: OwnedFd, groups: u32) -> Result<Self, Error> {
        let wanted = "a netfilter socket";
        let address = getsockname::<NetlinkAddr>(fd.as_raw_fd())
            .map_err(|_| Error::Adopted { found: "no netlink socket", wanted })?;
        let protocol =
            ffi::protocol(fd.as_fd()).map_err(failed("ask for the socket's protocol"))?;
        if protocol != libc::NETLINK_NETFILTER {
            return Err(Error::Adopted { found: "a netlink socket of another family", wanted });
        }
        if address.groups() & groups != groups {
            return Err(Error::Adopted {
                found: "a netfilter socket without the ruleset events",
                wanted: "one joined to them",
            });
        }
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .and_then(|_| fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)))
            .map_err(failed("make the adopted socket non-blocking"))?;
        Self::prepare(fd)
    }

    fn prepare(fd: OwnedFd) -> Result<Self, Error> {
        // Without privileges in the first user namespace only the system's limit can be had (net.core.rmem_max).
        setsockopt(&fd, sockopt::RcvBufForce, &QUEUE)
            .or_else(|_| setsockopt(&fd, sockopt::RcvBuf, &QUEUE))
            .map_err(failed("enlarge the receive buffer"))?;
        ffi::explain_errors(fd.as_fd()).map_err(failed("ask for explained errors"))?;
        Ok(Self { fd })
    }

    /// The socket's own port.
    pub(crate) fn portid(&self) -> Result<PortId, Error> {
        getsockname::<NetlinkAddr>(self.fd.as_raw_fd())
            .map(|address| PortId(address.pid()))
            .map_err(failed("ask for the socket's port"))
    }

    /// The namespace in which the socket was made (`SO_NETNS_COOKIE`, kernel 5.14).
    pub(crate) fn cookie(&self) -> Result<NetnsCookie, Error> {
        ffi::netns_cookie(self.fd.as_fd())
            .map(NetnsCookie)
            .map_err(failed("ask for the namespace's cookie"))
    }

    /// Sends the pages as one datagram.
    pub(crate) fn send(&self, pages: &[&[u8]]) -> Result<(), Error> {
        let length: usize = pages.iter().map(|page| page.len()).sum();
        if length > SMALL {
            allow_sending(&self.fd, length)?;
        }
        let slices: Vec<_> = pages.iter().map(|page| IoSlice::new(page)).collect();
        let kernel = NetlinkAddr::new(0, 0);
        let send =
            || sendmsg(self.fd.as_raw_fd(), &slices, &[], MsgFlags::MSG_DONTWAIT, Some(&kernel));
        uninterrupted(send).map(drop).map_err(failed("send to the kernel"))
    }

    /// The next datagram from the kernel that is already there; `None` if there is none.
    pub(crate) fn receive<'a>(&self, buffer: &'a mut Buffer) -> Result<Option<&'a [u8]>, Error> {
        let length = loop {
            match uninterrupted(|| self.receive_into(buffer)) {
                Ok(Some(length)) => break length,
                Ok(None) => (),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::ENOBUFS) => return Err(Error::Overrun),
                Err(errno) => return Err(failed("receive from the kernel")(errno)),
            }
        };
        Ok(buffer.bytes().get(..length))
    }

    /// One datagram; `None` if it is not the kernel's: another process may send to our port, only port 0 is the
    /// kernel. One that does not fit would be cut silently, so that counts as lost.
    fn receive_into(&self, buffer: &mut Buffer) -> Result<Option<usize>, Errno> {
        let mut slices = [IoSliceMut::new(buffer.bytes_mut())];
        let fd = self.fd.as_raw_fd();
        let received = recvmsg::<NetlinkAddr>(fd, &mut slices, None, MsgFlags::MSG_DONTWAIT)?;
        if received.flags.contains(MsgFlags::MSG_TRUNC) {
            return Err(Errno::ENOBUFS);
        }
        let kernel = received.address.is_some_and(|address| address.pid() == 0);
        Ok(kernel.then_some(received.bytes))
    }

    /// Throws away what is waiting: answers to a request that was given up, or that an earlier run of the agent made.
    pub(crate) fn discard(&self, buffer: &mut Buffer) -> Result<(), Error> {
        loop {
            match self.receive(buffer) {
                Ok(None) => return Ok(()),
                Ok(Some(_)) | Err(Error::Overrun) => (),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Room for one datagram. It is made for each operation: kept in each of thousands of sockets it would be the most
/// memory that the agent needs.
pub(crate) fn buffer() -> Buffer {
    Buffer::new(DATAGRAM)
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The kernel refuses a datagram larger than the send buffer (`EMSGSIZE`). It doubles the number it is given.
fn allow_sending(fd: &OwnedFd, length: usize) -> Result<(), Error> {
    setsockopt(fd, sockopt::SndBufForce, &length)
        .or_else(|_| setsockopt(fd, sockopt::SndBuf, &length))
        .map_err(failed("enlarge the send buffer"))
}

fn uninterrupted<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => (),
            outcome => return outcome,
        }
    }
}

fn failed(action: &'static str) -> impl Fn(Errno) -> Error {
    move |source| Error::Socket { action, source }
}

#[cfg(test)]
mod tests {
    use anetcon_testkit::netns::Netns;

    use super::*;
    use crate::message::{self, kind};

    #[test]
    fn a_datagram_that_does_not_fit_is_lost_and_not_cut() {
        let socket = Netns::new("nft-cut").run(|| Socket::open(0)).unwrap();
        let request = message::request(0, kind::GETGEN, 0, 1, &[]).unwrap();
        socket.send(&[&request]).unwrap();
        let mut small = Buffer::new(16);
        let cut = socket.receive(&mut small);
        assert!(matches!(cut, Err(Error::Overrun)), "{cut:?}");
        assert!(matches!(socket.receive(&mut buffer()), Ok(None)));
    }
}
