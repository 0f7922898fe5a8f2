//! *Purpose*: which pending jobs start now, as rules that can be tried on paper.
//!
//! *Owns*: policies, their passes, what a pass looks at and decides, forecasts.
//!
//! *Promises*: pure functions of what they are shown; the server and the simulation of a trace
//! share them.
//!
//! *Not here*: taking CPUs (`crate::resources`), the state that an input is made of
//! (`crate::kernel`).

pub mod claims;
pub mod conservative;
pub mod forecast;
pub mod input;
pub mod name;
pub mod order;
pub mod pass;
pub mod plan;
pub mod preempt;
pub mod profile;
pub mod shadow;
