//! *Purpose*: what the kernel consists of: each part has a state of its own.
//!
//! *Owns*: nothing.
//!
//! *Promises*: no part knows the kernel or anything that stands above it, so each can be read and
//! tested alone.
//!
//! *Not here*: the whole (`kernel::state`).

pub mod accounts;
pub mod arrays;
pub mod conditions;
pub mod eligibility;
pub mod limits;
pub mod live;
pub mod looks;
pub mod maintenance;
pub mod names;
pub mod priority;
pub mod queue;
pub mod queued;
pub mod requests;
pub mod retries;
pub mod rules;
pub mod samples;
pub mod singletons;
mod slots;
