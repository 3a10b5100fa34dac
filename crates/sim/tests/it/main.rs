//! Tests over the whole simulator, in one binary.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod disk;
mod ensemble;
mod leaders;
mod network;
mod planted;
mod runs;
mod shrinking;
mod timing;
