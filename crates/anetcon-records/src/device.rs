//! The device of the kernel log: opened by us, or opened for us by somebody who may.
//!
//! `dmesg_restrict` is looked at when the device is opened, never again (`devkmsg_open` in the kernel's printk.c). So one process
//! with CAP_SYSLOG can open it for another that does without.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use nix::libc::O_NONBLOCK;
use nix::sys::stat::{fstat, makedev};

/// Where it is.
const PATH: &str = "/dev/kmsg";

/// Its number (Documentation/admin-guide/devices.txt).
const NUMBER: (u64, u64) = (1, 11);

/// Where the kernel log is read.
#[derive(Debug, Clone, Default)]
pub struct Device {
    handed: Option<Arc<File>>,
}

impl Device {
    /// The kernel log in a descriptor that was opened by [`open`](Self::open) in another process. Its place in the ring is one for
    /// all who share it, so it has one reader at a time.
    ///
    /// # Errors
    /// It is something else.
    pub fn handed_over(fd: OwnedFd) -> io::Result<Self> {
        let (major, minor) = NUMBER;
        if fstat(&fd)?.st_rdev != makedev(major, minor) {
            return Err(io::Error::other("what was handed over is not the kernel log"));
        }
        Ok(Self { handed: Some(Arc::new(fd.into())) })
    }

    /// Opens it at its oldest record, for reading without waiting.
    ///
    /// # Errors
    /// No permission (CAP_SYSLOG where `dmesg_restrict` is set), or no such device (systemd's PrivateDevices=).
    pub fn open(&self) -> io::Result<File> {
        let Some(handed) = &self.handed else {
            return OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(PATH);
        };
        let mut device = handed.try_clone()?;
        // Documentation/ABI/testing/dev-kmsg: SEEK_SET, 0.
        device.seek(SeekFrom::Start(0))?;
        Ok(device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernel_log_is_taken() {
        for other in ["/dev/null", "/proc/self/status", "/"] {
            let error = Device::handed_over(File::open(other).unwrap().into()).unwrap_err();
            assert!(error.to_string().contains("not the kernel log"), "{other}: {error}");
        }
    }
}
