//! *Purpose*: what a job is: nouns, and how people write them.
//!
//! *Owns*: names, the request and the checked specification, states, ends, dependencies, arrays,
//! tasks, retries, signals, files of a job, how its script is called, how long it
//! stood still, what it used while it ran.
//!
//! *Promises*: plain data with one text form each, read and written alike in JSON, SQL and on the
//! command line; a refusal is a sentence; nothing here decides.
//!
//! *Not here*: which state follows which, and what a site allows (`crate::kernel`).

pub mod array_spec;
pub mod dependency;
pub mod edit;
pub mod efficiency;
pub mod faults;
pub mod files;
pub mod ids;
pub mod invocation;
pub mod outcome;
pub mod request;
pub mod resource_list;
pub mod retry_policy;
pub mod script;
pub mod signal;
pub mod spec;
pub mod state;
pub mod step;
pub mod suspension;
pub mod tasks;
pub mod usage_series;
