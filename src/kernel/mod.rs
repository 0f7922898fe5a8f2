//! *Purpose*: decides. Pure: state and time go in, changes and effects come out.
//!
//! *Owns*: jobs that have not ended, and what becomes of them.
//!
//! *Promises*: no clock, no I/O, no logging, no framework.
//!
//! *Not here*: durability (`store`), processes (`engine`), mailboxes (`actors`).

pub mod access;
pub mod admission;
pub mod change;
pub mod check;
pub mod commands;
pub mod outbox;
pub mod parts;
pub mod restore;
pub mod state;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;
pub mod token;
pub mod transition;
pub mod views;
