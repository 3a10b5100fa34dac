//! The transport on loopback: real sockets, real TLS, and peers that do not keep the rules.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod abuse;
mod authorities;
mod certificates;
mod faults;
mod hostile;
mod identity;
mod joining;
mod mesh;
mod passing;
mod refused;
mod renewing;
mod world;
