//! Tests of the core from outside: nodes on a loop of memory, and the laws of the folds.

mod backdating;
mod bounds;
mod capability;
mod crowds;
mod election;
mod ensemble;
mod errors;
mod facts;
mod files;
mod folds;
mod forwarding;
mod interference;
mod leaving;
mod lessons;
mod loopback;
mod mending;
mod nodes;
mod notes;
mod patience;
mod refolding;
mod revival;
mod rollback;
mod timekeeper;
mod timing;
mod trust;
mod views;
