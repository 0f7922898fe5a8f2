//! *Purpose*: the contract's command line, asked of the real binary from outside.
//!
//! *Owns*: the cases of verbs and settings, and the check of their coverage.
//!
//! *Promises*: a verb or a setting that clap knows and no case uses fails a test.
//!
//! *Not here*: the HTTP answers behind the verbs (`tests/http`).

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/screen.rs"]
mod screen;
#[macro_use]
mod coverage;

mod arrays;
mod codes;
mod help;
mod reading;
mod scripts;
mod serve;
mod settings;
mod shield;
mod simulate;
mod top;
mod verbs;
mod web;
