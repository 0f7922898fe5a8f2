//! *Purpose*: the contract's routes, asked of the real binary from outside.
//!
//! *Owns*: the cases, one module for each subject, and the check of their coverage.
//!
//! *Promises*: a route of the table that no case asks for fails a test; so does a case that
//! claims a route and does not ask for it.
//!
//! *Not here*: crashes (`tests/process.rs`), the command line (`tests/cli`).

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[macro_use]
mod coverage;
mod edit;

mod accounts;
mod arrays;
mod bounds;
mod bulk;
mod cancel;
mod clients;
mod codes;
mod codings;
mod conditions;
mod environment;
mod finding;
mod forecast;
mod gate;
mod help;
mod jobs;
mod keys;
mod load;
mod machine;
mod numbers;
mod orders;
mod overview;
mod pages;
mod partitions;
mod paths;
mod refusals;
mod requeue;
mod seed;
mod settings;
mod signals;
mod slurmrest;
mod slurmrest_shapes;
mod socket;
mod steps;
mod strangers;
mod streams;
mod submit;
mod suspend;
mod web_login;
