//! Tests of the core from outside: nodes on a loop of memory, and the laws of the folds.

mod folds;
mod loopback;
mod nodes;
mod views;
