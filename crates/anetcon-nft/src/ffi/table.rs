//! Tables and chains.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use anetcon_core::expr::kernel::NFPROTO_INET;
use nftnl::nftnl_sys::{self as sys, libc};
use nftnl::{MsgType, NlMsg};

use super::object::{Unbuildable, check, message, owner, short};

owner! {
    /// A table by its name, with flags.
    Table, nftnl_table, nftnl_table_alloc, nftnl_table_free
}

impl Table {
    /// `flags` are `NFT_TABLE_F_*`.
    pub(crate) fn new(name: &CStr, flags: u32) -> Result<Self, Unbuildable> {
        let table = Self::empty()?;
        let raw = table.raw.as_ptr();
        // SAFETY: `raw` is live; the name is a C string, which libnftnl copies.
        let named = unsafe {
            sys::nftnl_table_set_u32(raw, sys::NFTNL_TABLE_FAMILY as u16, NFPROTO_INET.into());
            sys::nftnl_table_set_u32(raw, sys::NFTNL_TABLE_FLAGS as u16, flags);
            sys::nftnl_table_set_str(raw, sys::NFTNL_TABLE_NAME as u16, short(name)?.as_ptr())
        };
        check(named)?;
        Ok(table)
    }
}

owner! {
    /// A chain.
    Chain, nftnl_chain, nftnl_chain_alloc, nftnl_chain_free
}

impl Chain {
    /// A chain of a table that no hook calls.
    pub(crate) fn new(table: &CStr, name: &CStr) -> Result<Self, Unbuildable> {
        let chain = Self::empty()?;
        let raw = chain.raw.as_ptr();
        // SAFETY: `raw` is live; the names are C strings, which libnftnl copies.
        let named = unsafe {
            sys::nftnl_chain_set_u32(raw, sys::NFTNL_CHAIN_FAMILY as u16, NFPROTO_INET.into());
            [
                sys::nftnl_chain_set_str(
                    raw,
                    sys::NFTNL_CHAIN_TABLE as u16,
                    short(table)?.as_ptr(),
                ),
                sys::nftnl_chain_set_str(raw, sys::NFTNL_CHAIN_NAME as u16, short(name)?.as_ptr()),
            ]
        };
        named.into_iter().try_for_each(check)?;
        Ok(chain)
    }

    /// Makes it a base chain.
    pub(crate) fn hook(
        &mut self,
        kind: &CStr,
        hook: u32,
        priority: i32,
        policy: u32,
    ) -> Result<(), Unbuildable> {
        let raw = self.raw.as_ptr();
        // SAFETY: `raw` is live; the kind is a C string, which libnftnl copies.
        let named = unsafe {
            sys::nftnl_chain_set_u32(raw, sys::NFTNL_CHAIN_HOOKNUM as u16, hook);
            sys::nftnl_chain_set_s32(raw, sys::NFTNL_CHAIN_PRIO as u16, priority);
            sys::nftnl_chain_set_u32(raw, sys::NFTNL_CHAIN_POLICY as u16, policy);
            sys::nftnl_chain_set_str(raw, sys::NFTNL_CHAIN_TYPE as u16, short(kind)?.as_ptr())
        };
        check(named)
    }
}

message!(Table, NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE, 0, nftnl_table_nlmsg_build_payload);
message!(
    Chain,
    NFT_MSG_NEWCHAIN,
    NFT_MSG_DELCHAIN,
    libc::NLM_F_CREATE | libc::NLM_F_EXCL,
    nftnl_chain_nlmsg_build_payload
);
