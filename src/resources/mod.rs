//! *Purpose*: what there is to hand out, and who holds it.
//!
//! *Owns*: the inventory, amounts as planning counts them, partitions, the ledger, allocations.
//!
//! *Promises*: a unit has at most one holder; an amount is never handed out beyond what there is.
//!
//! *Not here*: who should get what (`policy`), when it is given back
//! (`kernel::transition`), what a job may ask for (`kernel::admission`).

pub mod allocation;
pub mod capacity;
pub mod inventory;
pub mod ledger;
pub mod partitions;
mod pool;
