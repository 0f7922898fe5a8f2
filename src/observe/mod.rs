//! *Purpose*: shows.
//!
//! *Owns*: counters and explanations.
//!
//! *Promises*: nothing here is needed for correctness.
//!
//! *Not here*: the routes that show them (`api`).

pub mod by_account;
pub mod explain;
pub mod extension;
pub mod metrics;
pub mod missing;
pub mod openings;
