//! *Purpose*: a world of values around the real kernel and outbox, for two explorers: one draws
//! its way from a seed (`tests/simulation`), one goes every way there is (`tests/model`).
//!
//! *Owns*: the fake disk and its writer, the fake engine, the server's wiring without actors,
//! and what clients were told.
//!
//! *Promises*: nothing here draws or waits: each method is one step, and what happens is its
//! arguments; whatever must never be panics with the sentence that is broken.
//!
//! *Not here*: who chooses the next step, real processes (`tests/process.rs`).

#![allow(dead_code, reason = "each test program uses a part")]

pub mod checks;
pub mod clients;
pub mod disk;
pub mod engine;
pub mod executor;
pub mod server;
