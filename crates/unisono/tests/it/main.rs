//! Real processes on loopback: what a person or a machine that uses the program relies on.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed, and says where"
)]

mod across;
mod address;
mod alerts;
mod audit;
mod authority;
mod bad_nights;
mod clock;
mod cluster;
mod coherence;
mod commands;
mod crash;
mod damage;
mod demo;
mod directory;
mod doctoring;
mod ensemble;
mod excess;
mod faults;
mod first_run;
mod following;
mod foretelling;
mod harass;
mod invites;
mod iterations;
mod keys;
mod layout;
mod leaving;
mod lessons;
mod moments;
mod partners;
mod performing;
mod plans;
mod playing;
mod probing;
mod process;
mod reading;
mod reference;
mod reference_agent;
mod removing;
mod renewals;
mod renewing;
mod replay;
mod resonance;
mod rights;
mod rollback;
mod roots;
mod rotation;
mod rotation_of_nodes;
mod run_023;
mod secrets;
mod service;
mod settings;
mod stand_by;
mod twins;
mod witnessed;
