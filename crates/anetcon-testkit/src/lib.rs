//! What tests need: throw-away namespaces. Never part of the product, and blind to anetcon-core, -nft and
//! -netns, so that a mistake in them cannot hide itself.
#![forbid(unsafe_code)]

pub mod demo;
pub mod netns;
