//! The expressions of a wanted rule as libnftnl's: which attributes each one has. A table, no decisions.

use std::ffi::{CStr, CString};

use anetcon_core::expr::{Expr, Register};
use nftnl::nftnl_sys as sys;

use crate::ffi::{Expression, Field, Unbuildable};

/// `NFT_LOOKUP_F_INV`.
const LOOKUP_INVERTED: u32 = 1;

/// Why something wanted cannot be written, as a phrase.
pub(crate) type Reason = &'static str;

/// Builds one expression.
pub(crate) fn expression(expr: &Expr) -> Result<Expression, Reason> {
    let (name, fields) = fields(expr)?;
    Expression::new(name, &fields).map_err(reason)
}

fn fields(expr: &Expr) -> Result<(&'static CStr, Vec<Field<'_>>), Reason> {
    use Field::{Bytes, Number, Text};
    let number = |attribute, register: &Register| Number(attribute, register.0);
    Ok(match expr {
        Expr::Meta { key, dreg } => (
            c"meta",
            vec![Number(sys::NFTNL_EXPR_META_KEY, *key), number(sys::NFTNL_EXPR_META_DREG, dreg)],
        ),
        Expr::Ct { key, dreg } => (
            c"ct",
            vec![Number(sys::NFTNL_EXPR_CT_KEY, *key), number(sys::NFTNL_EXPR_CT_DREG, dreg)],
        ),
        Expr::Payload { base, offset, len, dreg } => (
            c"payload",
            vec![
                number(sys::NFTNL_EXPR_PAYLOAD_DREG, dreg),
                Number(sys::NFTNL_EXPR_PAYLOAD_BASE, *base),
                Number(sys::NFTNL_EXPR_PAYLOAD_OFFSET, *offset),
                Number(sys::NFTNL_EXPR_PAYLOAD_LEN, *len),
            ],
        ),
        Expr::Bitwise { sreg, dreg, len, mask, xor } => (
            c"bitwise",
            vec![
                number(sys::NFTNL_EXPR_BITWISE_SREG, sreg),
                number(sys::NFTNL_EXPR_BITWISE_DREG, dreg),
                Number(sys::NFTNL_EXPR_BITWISE_LEN, *len),
                Bytes(sys::NFTNL_EXPR_BITWISE_MASK, mask),
                Bytes(sys::NFTNL_EXPR_BITWISE_XOR, xor),
            ],
        ),
        Expr::Cmp { op, sreg, data } => (
            c"cmp",
            vec![
                number(sys::NFTNL_EXPR_CMP_SREG, sreg),
                Number(sys::NFTNL_EXPR_CMP_OP, *op),
                Bytes(sys::NFTNL_EXPR_CMP_DATA, data),
            ],
        ),
        Expr::Lookup { set, sreg, inverted } => (
            c"lookup",
            vec![
                Text(sys::NFTNL_EXPR_LOOKUP_SET, c_string(set)?),
                number(sys::NFTNL_EXPR_LOOKUP_SREG, sreg),
                Number(sys::NFTNL_EXPR_LOOKUP_FLAGS, if *inverted { LOOKUP_INVERTED } else { 0 }),
            ],
        ),
        Expr::Counter => (c"counter", Vec::new()),
        Expr::Log { prefix, level, flags } => (
            c"log",
            vec![
                Text(sys::NFTNL_EXPR_LOG_PREFIX, c_string(prefix)?),
                Number(sys::NFTNL_EXPR_LOG_LEVEL, *level),
                Number(sys::NFTNL_EXPR_LOG_FLAGS, *flags),
            ],
        ),
        Expr::Other { .. } => return Err("it holds an expression that is only known from a dump"),
    })
}

/// A name or text as C wants it.
pub(crate) fn c_string(text: &str) -> Result<CString, Reason> {
    CString::new(text).map_err(|_| "a name or text holds a NUL byte")
}

/// The words for a refusal of libnftnl.
pub(crate) fn reason(unbuildable: Unbuildable) -> Reason {
    match unbuildable {
        Unbuildable::Memory => "out of memory",
        Unbuildable::TooLong => "a part of it is too long",
    }
}
