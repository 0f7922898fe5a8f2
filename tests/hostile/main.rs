//! *Purpose*: the real binary in hostile surroundings: full disks, broken databases, strangers
//! with borrowed numbers, vanished folders, scripts that fight back.
//!
//! *Owns*: one file per theme.
//!
//! *Promises*: whatever is taken away is taken from one server's own folder or process; a case
//! that cannot be staged on this machine says `SKIPPED`; no case leaves a mount, a cgroup or
//! a process behind.
//!
//! *Not here*: kills at chosen instants (`tests/process.rs`), faults inside one commit
//! (`tests/simulation`), one engine without a server (`tests/engine_conformance`).

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod boot;
mod changes;
mod closed;
mod concurrency;
mod damage;
mod database;
mod disk;
mod gpus;
mod hanging;
mod help;
mod limits;
mod log;
mod memory;
mod own;
mod retention;
mod scratch;
mod scripts;
mod shortage;
mod spool;
mod stopped;
mod strangers;
mod users;
mod world;
