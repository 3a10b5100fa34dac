//! The behaviour of both kinds of documents, from outside.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod facts;
mod hostile;
mod living;
mod world;
