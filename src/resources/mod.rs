//! *Purpose*: what there is to hand out, and who holds it.
//!
//! *Owns*: amounts as planning counts them, partitions, the ledger, allocations.
//!
//! *Promises*: a CPU has at most one holder; memory is never handed out beyond what there is.
//!
//! *Not here*: who should get what (`policy`), when it is given back
//! (`kernel::transition`), what a job may ask for (`kernel::admission`).

pub mod allocation;
pub mod capacity;
mod free;
pub mod ledger;
pub mod partitions;
