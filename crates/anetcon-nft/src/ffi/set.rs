//! Named sets and their elements.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use anetcon_core::expr::kernel::NFPROTO_INET;
use nftnl::nftnl_sys::{self as sys, libc};
use nftnl::{MsgType, NlMsg};

use super::object::{MAX_USER_DATA, Unbuildable, check, message, owner, short};

/// `NFT_REG_SIZE`.
const MAX_KEY: usize = 16;

owner! {
    /// A named set without its elements.
    Set, nftnl_set, nftnl_set_alloc, nftnl_set_free
}

impl Set {
    /// `key_type` is nft's number, `flags` are `NFT_SET_*`; `id` names the set within the batch.
    pub(crate) fn new(
        table: &CStr,
        name: &CStr,
        id: u32,
        (key_type, key_len, flags): (u32, u32, u32),
        user_data: &[u8],
    ) -> Result<Self, Unbuildable> {
        if user_data.len() > MAX_USER_DATA {
            return Err(Unbuildable::TooLong);
        }
        let set = Self::empty()?;
        let raw = set.raw.as_ptr();
        // SAFETY: `raw` is live; libnftnl copies the user data.
        let stored = unsafe {
            sys::nftnl_set_set_u32(raw, sys::NFTNL_SET_KEY_TYPE as u16, key_type);
            sys::nftnl_set_set_u32(raw, sys::NFTNL_SET_KEY_LEN as u16, key_len);
            sys::nftnl_set_set_u32(raw, sys::NFTNL_SET_FLAGS as u16, flags);
            sys::nftnl_set_set_data(
                raw,
                sys::NFTNL_SET_USERDATA as u16,
                user_data.as_ptr().cast(),
                user_data.len() as u32,
            )
        };
        check(stored)?;
        name_set(raw, table, name, id)?;
        Ok(set)
    }

    /// A set that is there, to be deleted.
    pub(crate) fn named(table: &CStr, name: &CStr) -> Result<Self, Unbuildable> {
        let set = Self::empty()?;
        name_set(set.raw.as_ptr(), table, name, 0)?;
        Ok(set)
    }
}

owner! {
    /// Some elements of a set that exists or is made earlier in the batch.
    Elements, nftnl_set, nftnl_set_alloc, nftnl_set_free
}

impl Elements {
    /// The most elements of one message: with 16-byte keys they take 36 bytes each.
    pub(crate) const MAX: usize = 1024;

    /// `elements` are keys and their `NFT_SET_ELEM_*` flags.
    pub(crate) fn new<'a>(
        table: &CStr,
        set: &CStr,
        id: u32,
        elements: impl Iterator<Item = (&'a [u8], u32)>,
    ) -> Result<Self, Unbuildable> {
        let message = Self::empty()?;
        name_set(message.raw.as_ptr(), table, set, id)?;
        for (position, (key, flags)) in elements.enumerate() {
            if position >= Self::MAX || key.len() > MAX_KEY {
                return Err(Unbuildable::TooLong);
            }
            message.add(key, flags)?;
        }
        Ok(message)
    }

    fn add(&self, key: &[u8], flags: u32) -> Result<(), Unbuildable> {
        // SAFETY: no arguments; null is the only failure.
        let element = NonNull::new(unsafe { sys::nftnl_set_elem_alloc() });
        let element = element.ok_or(Unbuildable::Memory)?.as_ptr();
        let data: *const c_void = key.as_ptr().cast();
        // SAFETY: both objects are live; the key's bytes, at most MAX_KEY, are copied into room for 64. The set
        // takes over the element and frees it with itself, so it is added before the outcome is looked at.
        let stored = unsafe {
            let stored = sys::nftnl_set_elem_set(
                element,
                sys::NFTNL_SET_ELEM_KEY as u16,
                data,
                key.len() as u32,
            );
            if flags != 0 {
                sys::nftnl_set_elem_set_u32(element, sys::NFTNL_SET_ELEM_FLAGS as u16, flags);
            }
            sys::nftnl_set_elem_add(self.raw.as_ptr(), element);
            stored
        };
        check(stored)
    }
}

fn name_set(
    raw: *mut sys::nftnl_set,
    table: &CStr,
    name: &CStr,
    id: u32,
) -> Result<(), Unbuildable> {
    // SAFETY: the callers pass their own live set; the names are C strings, which libnftnl copies.
    let named = unsafe {
        sys::nftnl_set_set_u32(raw, sys::NFTNL_SET_FAMILY as u16, NFPROTO_INET.into());
        sys::nftnl_set_set_u32(raw, sys::NFTNL_SET_ID as u16, id);
        [
            sys::nftnl_set_set_str(raw, sys::NFTNL_SET_TABLE as u16, short(table)?.as_ptr()),
            sys::nftnl_set_set_str(raw, sys::NFTNL_SET_NAME as u16, short(name)?.as_ptr()),
        ]
    };
    named.into_iter().try_for_each(check)
}

message!(
    Set,
    NFT_MSG_NEWSET,
    NFT_MSG_DELSET,
    libc::NLM_F_CREATE | libc::NLM_F_EXCL,
    nftnl_set_nlmsg_build_payload
);
message!(
    Elements,
    NFT_MSG_NEWSETELEM,
    NFT_MSG_DELSETELEM,
    libc::NLM_F_CREATE | libc::NLM_F_EXCL,
    nftnl_set_elems_nlmsg_build_payload
);
