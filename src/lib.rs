//! Downbeat, a batch-job scheduler: **the kernel decides, the store remembers, then and only
//! then the world is touched.**
//!
//! *Purpose*: the map of the rooms.
//!
//! *Owns*: nothing.
//!
//! *Promises*: no import points upward; `tests/tidy` holds the rooms to it.
//!
//! *Not here*: the picture and the walks (README).

pub mod actors;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod engine;
pub mod fault;
pub mod installation;
pub mod job;
pub mod kernel;
pub mod observe;
pub mod panics;
pub mod peer;
pub mod policy;
pub mod resources;
pub mod serve;
pub mod simulate;
pub mod store;
pub mod text;
pub mod threads;
pub mod time;
