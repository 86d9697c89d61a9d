//! What the properties of the planner are tried on.

pub mod edit;
pub mod tables;
