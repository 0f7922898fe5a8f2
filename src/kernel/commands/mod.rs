//! *Purpose*: what changes the kernel: one verb a file.
//!
//! *Owns*: nothing.
//!
//! *Promises*: time is an argument; each call returns one step whose changes belong into one
//! transaction; a refused command changes nothing.
//!
//! *Not here*: the state (`kernel::state`), what only looks (`kernel::views`).

pub mod cancel;
pub mod edit;
pub mod enqueue;
pub mod fact;
pub mod forget;
pub mod looks;
pub mod maintenance;
pub mod notify;
pub mod numbers;
pub mod preempt;
pub mod reconfigure;
pub mod repair;
pub mod requeue;
pub mod seat;
pub mod signal;
pub mod start;
pub mod step;
pub mod submit;
pub mod suspend;
pub mod task;
pub mod timers;
