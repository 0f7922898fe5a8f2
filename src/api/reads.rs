//! *Purpose*: what pages read: the answers of routes as values.
//!
//! *Owns*: nothing; it names what other rooms may call.
//!
//! *Promises*: each function is the one that its route answers with, so no number differs.
//!
//! *Not here*: changes, which pages ask for by the routes themselves.

pub use super::caller::Caller;
pub use super::efficiency::of as efficiency;
pub use super::error::ApiError;
pub use super::job_usage::{UsageOfQuery, of as job_usage};
pub use super::jobs::{events_of as events, one as job, page_of as jobs};
pub use super::overview::all as overview;
pub use super::places::Place;
pub use super::samples::{SamplesQuery, of as samples};
pub use super::streams::script_of as script;
pub use super::usage::{UsageQuery, of as usage};
