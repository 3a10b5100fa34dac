//! Runs every rule on this repository, and every rule on a sample that breaks it.

mod house;
mod samples;
