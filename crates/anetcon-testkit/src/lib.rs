//! What tests and the demo need: throw-away namespaces, a router, traffic, the agent as a child. Never part
//! of the product, and blind to anetcon-core, -nft and -netns, so that a mistake in them cannot hide itself.
#![forbid(unsafe_code)]

pub mod agent;
pub mod bench;
pub mod beside;
pub mod configuration;
pub mod demo;
pub mod http;
pub mod kernel_log;
pub mod loopback;
pub mod nat;
mod nat_netlink;
pub mod netns;
pub mod patched;
pub mod ruleset;
pub mod threads;
pub mod topology;
pub mod traffic;
