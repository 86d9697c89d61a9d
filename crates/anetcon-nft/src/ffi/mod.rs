//! Everything unsafe: what nftnl, mnl and nix lack. Nothing here decides anything.
//!
//! nftnl has no `log` expression, no table flags, no interval sets with user data, and its safe types abort
//! where memory is short; nix has no access to the netlink and cookie socket options.

mod buffer;
mod expression;
mod object;
mod option;
mod rule;
mod set;
mod table;

pub(crate) use buffer::Buffer;
pub(crate) use expression::{Expression, Field};
pub(crate) use object::Unbuildable;
pub(crate) use option::{explain_errors, netns_cookie, protocol};
pub(crate) use rule::Rule;
pub(crate) use set::{Elements, Set};
pub(crate) use table::{Chain, Table};
