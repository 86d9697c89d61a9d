//! The gap ledger: from when to when auditing was not in force, on which channel, and why. Pure.
//!
//! [`Entry`] is a line of the file. It is only ever appended: a gap is one line when it begins and one when it ends, or one
//! for both. [`Account`] is what the lines say together, and [`Verdict`] what that means for a span of time. Who writes lines
//! and when must not be known here.

mod account;
mod entry;

pub use account::{Account, Gap, Span, Verdict};
pub use entry::{Cause, Channel, Culprit, Entry, Mark};
