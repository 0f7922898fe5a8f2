//! *Purpose*: tests of the policy.
//!
//! *Owns*: nothing yet.
//!
//! *Promises*: nothing yet.
//!
//! *Not here*: the policy (`policy`).
