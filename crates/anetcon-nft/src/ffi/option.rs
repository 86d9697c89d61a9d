//! Socket options that nix does not have.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// `SO_NETNS_COOKIE` of asm-generic/socket.h (kernel 5.14).
const SO_NETNS_COOKIE: c_int = 71;

/// The cookie of the namespace in which a socket was made.
pub(crate) fn netns_cookie(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    get(fd, SO_NETNS_COOKIE)
}

/// `SO_PROTOCOL`: for a netlink socket its family, like `NETLINK_NETFILTER`.
pub(crate) fn protocol(fd: BorrowedFd<'_>) -> Result<c_int, Errno> {
    get(fd, libc::SO_PROTOCOL)
}

/// Makes the kernel explain its errors (`NETLINK_EXT_ACK`) without echoing the whole request (`NETLINK_CAP_ACK`).
pub(crate) fn explain_errors(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    set_netlink(fd, libc::NETLINK_EXT_ACK)?;
    set_netlink(fd, libc::NETLINK_CAP_ACK)
}

/// A plain number that a socket option may fill in.
trait Plain: Default {}
impl Plain for u64 {}
impl Plain for c_int {}

fn get<T: Plain>(fd: BorrowedFd<'_>, name: c_int) -> Result<T, Errno> {
    let mut value = T::default();
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` is a plain number of `length` bytes that outlives the call; the kernel writes no more than
    // `length` bytes, and any bytes are a valid number.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    Errno::result(result).map(|_| value)
}

fn set_netlink(fd: BorrowedFd<'_>, name: c_int) -> Result<(), Errno> {
    let on: c_int = 1;
    // SAFETY: the kernel reads the `size_of::<c_int>()` bytes of `on`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_NETLINK,
            name,
            (&raw const on).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}
