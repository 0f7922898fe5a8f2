//! *Purpose*: decides. Pure: state and time go in, changes and effects come out.
//!
//! *Owns*: jobs that have not ended, CPUs, the policy.
//!
//! *Promises*: no clock, no I/O, no logging, no framework.
//!
//! *Not here*: durability (`store`), processes (`engine`), mailboxes (`actors`).

pub mod allocation;
pub mod ids;
pub mod job;
pub mod ledger;
pub mod time;
