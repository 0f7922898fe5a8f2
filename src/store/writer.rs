//! *Purpose*: who writes.
//!
//! *Owns*: [`Writer`].
//!
//! *Promises*: there is one for each database.
//!
//! *Not here*: how (`store::body`).

pub use super::sqlite::body::write::Writer;
