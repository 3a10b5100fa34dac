//! The edge and its client against a fake node: what goes in, what comes out, what is repeated.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod chronicle;
mod failover;
mod fake;
mod foretold;
mod rates;
mod refusals;
mod sessions;
mod streams;
mod web;
