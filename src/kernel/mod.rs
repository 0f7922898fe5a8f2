//! *Purpose*: decides. Pure: state and time go in, changes and effects come out.
//!
//! *Owns*: jobs that have not ended, and what becomes of them.
//!
//! *Promises*: no clock, no I/O, no logging, no framework.
//!
//! *Not here*: durability (`store`), processes (`engine`), mailboxes (`actors`).

pub mod admission;
pub mod arrays;
pub mod change;
pub mod check;
pub mod claims;
pub mod eligible;
#[expect(clippy::module_inception, reason = "the room and its one struct share the name")]
pub mod kernel;
pub mod maintenance;
pub mod mend;
pub mod outbox;
pub mod outsiders;
pub mod parts;
pub mod reconfigure;
pub mod requeue;
pub mod restore;
pub mod tenancy;
pub mod transition;
pub mod view;
