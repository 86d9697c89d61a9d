//! The kernel log without CAP_SYSLOG: `ExecStartPre=+` opens it as root, and the service manager's store carries it to the agent.
//!
//! The agent may enter any namespace; what it need not be able to do besides, it cannot do.

use std::io;

use anetcon_records::device::Device;

use crate::store::{self, NOWHERE, Store, Use};

/// Opens the kernel log for the agent that is started next.
///
/// # Errors
/// It cannot be opened, or no service manager takes it.
pub fn hand_over() -> io::Result<()> {
    store::put(Use::KernelLog, NOWHERE, &Device::default().open()?)
}

/// What was handed over to us; else what we can open ourselves. It leaves the store: each start gets its own.
pub fn receive(store: &Store) -> Device {
    let Some(fd) = store.take(Use::KernelLog, NOWHERE) else { return Device::default() };
    store.forget(Use::KernelLog, NOWHERE);
    Device::handed_over(fd).unwrap_or_else(|error| {
        tracing::warn!(%error, "the kernel log is opened anew");
        Device::default()
    })
}
