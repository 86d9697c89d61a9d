//! Everything unsafe: what nftnl, mnl and nix lack. Nothing here decides anything.
//!
//! nftnl has no `log` expression, no table flags, no interval sets with user data, and its safe types abort
//! where memory is short; nix has no access to the netlink and cookie socket options and
//! to the state of the clock,
//! and a descriptor that was handed over is only a number at first.

mod buffer;
mod clock;
mod expression;
mod inherited;
mod object;
mod option;
mod rule;
mod set;
mod table;

pub(crate) use buffer::Buffer;
pub use clock::clock_is_synchronised;
pub(crate) use expression::{Expression, Field};
pub use inherited::inherited;
pub(crate) use object::Unbuildable;
pub(crate) use option::{explain_errors, netns_cookie, protocol};
pub(crate) use rule::Rule;
pub(crate) use set::{Elements, Set};
pub(crate) use table::{Chain, Table};
