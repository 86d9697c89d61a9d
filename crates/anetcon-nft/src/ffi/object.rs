//! Tables, chains, rules, sets and set elements of libnftnl as messages of a batch.
//!
//! Each constructor checks what libnftnl does not: lengths, so that no message can overrun the room a batch
//! gives it (64 KiB and a page), and memory, of which nftnl's own types abort when it is short.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;

use anetcon_core::expr::kernel::NFPROTO_INET;
use nftnl::nftnl_sys::{self as sys, libc};
use nftnl::{MsgType, NlMsg};
use thiserror::Error;

use super::Expression;

/// `NFT_NAME_MAXLEN` with the NUL.
const MAX_NAME: usize = 256;
/// `NFT_USERDATA_MAXLEN`.
const MAX_USER_DATA: usize = 256;
/// `NFT_RULE_MAXEXPRS`.
const MAX_EXPRESSIONS: usize = 128;
/// `NFT_REG_SIZE`.
const MAX_KEY: usize = 16;

/// Why libnftnl cannot hold a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Unbuildable {
    #[error("out of memory")]
    Memory,
    #[error("it is too long")]
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
    /// A base chain.
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

owner! {
    /// A rule at the end of its chain.
    Rule, nftnl_rule, nftnl_rule_alloc, nftnl_rule_free
}

impl Rule {
    /// A rule with user data and expressions.
    pub(crate) fn new(
        table: &CStr,
        chain: &CStr,
        user_data: &[u8],
        expressions: Vec<Expression>,
    ) -> Result<Self, Unbuildable> {
        if expressions.len() > MAX_EXPRESSIONS || user_data.len() > MAX_USER_DATA {
            return Err(Unbuildable::TooLong);
        }
        let rule = Self::empty()?;
        let raw = rule.raw.as_ptr();
        // SAFETY: `raw` is live; the names are C strings, which libnftnl copies, as it does the user data.
        let named = unsafe {
            sys::nftnl_rule_set_u32(raw, sys::NFTNL_RULE_FAMILY as u16, NFPROTO_INET.into());
            [
                sys::nftnl_rule_set_str(raw, sys::NFTNL_RULE_TABLE as u16, short(table)?.as_ptr()),
                sys::nftnl_rule_set_str(raw, sys::NFTNL_RULE_CHAIN as u16, short(chain)?.as_ptr()),
                match user_data {
                    [] => 0,
                    data => sys::nftnl_rule_set_data(
                        raw,
                        sys::NFTNL_RULE_USERDATA as u16,
                        data.as_ptr().cast(),
                        data.len() as u32,
                    ),
                },
            ]
        };
        named.into_iter().try_for_each(check)?;
        for expression in expressions {
            // SAFETY: both are live; the rule takes over the expression and frees it with itself.
            unsafe { sys::nftnl_rule_add_expr(raw, expression.into_raw().as_ptr()) };
        }
        Ok(rule)
    }
}

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

/// Implements the message of one object: its two message numbers, its flags for adding, and its payload.
macro_rules! message {
    ($name:ident, $add:ident, $delete:ident, $flags:expr, $payload:ident) => {
        // SAFETY: the constructors bound every part: names by MAX_NAME, user data, the number of expressions and
        // elements and the size of each. The sum stays under 64 KiB, which is less than `buf` has room for.
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

message!(Table, NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE, 0, nftnl_table_nlmsg_build_payload);
message!(
    Chain,
    NFT_MSG_NEWCHAIN,
    NFT_MSG_DELCHAIN,
    libc::NLM_F_CREATE | libc::NLM_F_EXCL,
    nftnl_chain_nlmsg_build_payload
);
message!(
    Rule,
    NFT_MSG_NEWRULE,
    NFT_MSG_DELRULE,
    libc::NLM_F_CREATE | libc::NLM_F_APPEND,
    nftnl_rule_nlmsg_build_payload
);
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

fn short(name: &CStr) -> Result<&CStr, Unbuildable> {
    if name.to_bytes_with_nul().len() > MAX_NAME { Err(Unbuildable::TooLong) } else { Ok(name) }
}

fn check(result: c_int) -> Result<(), Unbuildable> {
    if result < 0 { Err(Unbuildable::Memory) } else { Ok(()) }
}
