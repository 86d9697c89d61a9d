//! Rules.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use anetcon_core::expr::kernel::NFPROTO_INET;
use nftnl::nftnl_sys::{self as sys, libc};
use nftnl::{MsgType, NlMsg};

use super::Expression;
use super::object::{MAX_USER_DATA, Unbuildable, check, message, owner, short};

/// `NFT_RULE_MAXEXPRS`.
const MAX_EXPRESSIONS: usize = 128;

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

message!(
    Rule,
    NFT_MSG_NEWRULE,
    NFT_MSG_DELRULE,
    libc::NLM_F_CREATE | libc::NLM_F_APPEND,
    nftnl_rule_nlmsg_build_payload
);
