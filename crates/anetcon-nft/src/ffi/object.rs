//! What the objects of libnftnl have in common: an owner that frees them, and their message in a batch.
//!
//! Constructors check what libnftnl does not: lengths, so that no message can overrun the room that a batch
//! gives it (64 KiB and a page), and memory, of which nftnl's own types abort when it is short.

use std::ffi::{CStr, c_int};

/// `NFT_NAME_MAXLEN` with the NUL.
const MAX_NAME: usize = 256;
/// `NFT_USERDATA_MAXLEN`.
pub(super) const MAX_USER_DATA: usize = 256;

/// Why libnftnl cannot hold a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unbuildable {
    /// There is no memory for it.
    Memory,
    /// It is longer than the kernel takes or a message has room for.
    TooLong,
}

/// Declares an owner of one libnftnl object: made empty, freed when dropped.
macro_rules! owner {
    ($(#[$doc:meta])* $name:ident, $raw:ident, $alloc:ident, $free:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name {
            raw: NonNull<sys::$raw>,
        }

        impl $name {
            fn empty() -> Result<Self, Unbuildable> {
                // SAFETY: no arguments; null is the only failure.
                let raw = unsafe { sys::$alloc() };
                Ok(Self { raw: NonNull::new(raw).ok_or(Unbuildable::Memory)? })
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the object is live, ours alone, and never used again.
                unsafe { sys::$free(self.raw.as_ptr()) };
            }
        }
    };
}

/// Implements the message of one object: its two message numbers, its flags for adding, and its payload.
macro_rules! message {
    ($name:ident, $add:ident, $delete:ident, $flags:expr, $payload:ident) => {
        // SAFETY: the constructors bound every part: names and texts by MAX_NAME, user data, the number of
        // expressions (128 of at most 400 bytes) and of elements (1024 of at most 36 bytes). The sum stays under
        // 64 KiB, which is less than `buf` has room for.
        unsafe impl NlMsg for $name {
            unsafe fn write(&self, buf: *mut c_void, seq: u32, msg_type: MsgType) {
                let (number, flags) = match msg_type {
                    MsgType::Add => (libc::$add, $flags | libc::NLM_F_ACK),
                    MsgType::Del => (libc::$delete, libc::NLM_F_ACK),
                };
                // SAFETY: the caller promises room at `buf`; the object is live.
                unsafe {
                    let header = sys::nftnl_nlmsg_build_hdr(
                        buf.cast::<c_char>(),
                        number as u16,
                        NFPROTO_INET.into(),
                        flags as u16,
                        seq,
                    );
                    sys::$payload(header, self.raw.as_ptr());
                }
            }
        }
    };
}

pub(super) use {message, owner};

/// A name that fits.
pub(super) fn short(name: &CStr) -> Result<&CStr, Unbuildable> {
    if name.to_bytes_with_nul().len() > MAX_NAME { Err(Unbuildable::TooLong) } else { Ok(name) }
}

/// libnftnl's setters fail only for want of memory.
pub(super) fn check(result: c_int) -> Result<(), Unbuildable> {
    if result < 0 { Err(Unbuildable::Memory) } else { Ok(()) }
}
