//! Tests over the real file system, in one binary.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod backup;
mod cost;
mod file_disk;
mod stand;
