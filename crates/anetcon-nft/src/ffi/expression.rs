//! An expression of libnftnl, made from a name and attribute values.

use std::ffi::{CStr, CString, c_void};
use std::ptr::NonNull;

use nftnl::nftnl_sys as sys;

use super::object::{Unbuildable, short};

/// The most bytes a register holds in one expression (`NFT_REG_SIZE`); libnftnl copies without asking.
const REGISTER: usize = 16;

/// One attribute of an expression: its number (`NFTNL_EXPR_*`) and its value.
#[derive(Debug, Clone)]
pub(crate) enum Field<'a> {
    Number(u32, u32),
    Bytes(u32, &'a [u8]),
    Text(u32, CString),
}

/// An expression that belongs to no rule yet.
#[derive(Debug)]
pub(crate) struct Expression {
    raw: NonNull<sys::nftnl_expr>,
}

impl Expression {
    /// Makes an expression by its kernel name.
    pub(crate) fn new(name: &CStr, fields: &[Field<'_>]) -> Result<Self, Unbuildable> {
        // SAFETY: the name is a C string; null is the only failure, also for an unknown name.
        let raw = unsafe { sys::nftnl_expr_alloc(name.as_ptr()) };
        let mut expression = Self { raw: NonNull::new(raw).ok_or(Unbuildable::Memory)? };
        fields.iter().try_for_each(|field| expression.set(field))?;
        Ok(expression)
    }

    fn set(&mut self, field: &Field<'_>) -> Result<(), Unbuildable> {
        let raw = self.raw.as_ptr();
        let result = match field {
            Field::Number(number, value) => {
                let value: *const u32 = value;
                // SAFETY: `raw` is a live expression of ours; four bytes are read from a u32.
                unsafe { sys::nftnl_expr_set(raw, attribute(*number)?, value.cast(), 4) }
            }
            Field::Bytes(_, bytes) if bytes.len() > REGISTER => return Err(Unbuildable::TooLong),
            Field::Bytes(number, bytes) => {
                let data: *const c_void = bytes.as_ptr().cast();
                // SAFETY: `raw` is a live expression of ours; at most REGISTER bytes are copied out of `bytes`,
                // and every data attribute of libnftnl has room for 64.
                unsafe { sys::nftnl_expr_set(raw, attribute(*number)?, data, bytes.len() as u32) }
            }
            Field::Text(number, text) => {
                // SAFETY: `raw` is a live expression of ours; the text is a C string, which libnftnl copies.
                unsafe { sys::nftnl_expr_set_str(raw, attribute(*number)?, short(text)?.as_ptr()) }
            }
        };
        if result < 0 { Err(Unbuildable::Memory) } else { Ok(()) }
    }

    /// Gives the expression away: whoever takes it must free it.
    pub(super) fn into_raw(self) -> NonNull<sys::nftnl_expr> {
        let raw = self.raw;
        std::mem::forget(self);
        raw
    }
}

fn attribute(number: u32) -> Result<u16, Unbuildable> {
    u16::try_from(number).map_err(|_| Unbuildable::TooLong)
}

impl Drop for Expression {
    fn drop(&mut self) {
        // SAFETY: the expression is live and ours: `into_raw` forgets self.
        unsafe { sys::nftnl_expr_free(self.raw.as_ptr()) };
    }
}
