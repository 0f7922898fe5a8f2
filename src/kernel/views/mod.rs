//! *Purpose*: what is seen of the kernel.
//!
//! *Owns*: nothing.
//!
//! *Promises*: a view changes nothing.
//!
//! *Not here*: the state (`kernel::state`), what changes it (`kernel::commands`).

pub mod as_edited;
pub mod chain;
pub mod dependencies;
pub mod dependents;
pub mod explain;
pub mod hold;
pub mod holding;
pub mod limits;
pub mod partitions;
pub mod pass_input;
pub mod payers;
pub mod rank;
pub mod sampled;
pub mod snapshot;
