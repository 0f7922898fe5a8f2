//! *Purpose*: what pages read: the answers of routes as values.
//!
//! *Owns*: nothing; it names what other rooms may call.
//!
//! *Promises*: each function is the one that its route answers with, so no number differs.
//!
//! *Not here*: changes, which pages ask for by the routes themselves.

pub use super::accounts::lines as accounts;
pub use super::allocations::audited as audit;
pub use super::attempts::of as attempts;
pub use super::caller::Caller;
pub use super::dependents::of as dependents;
pub use super::edit::{may_change, tried as tried_change};
pub use super::efficiency::of as efficiency;
pub use super::error::ApiError;
pub use super::history::newest as history;
pub use super::info::of as info;
pub use super::intake::Body;
pub use super::job_usage::{UsageOfQuery, of as job_usage};
pub use super::jobs::{array_counts, events_of as events, one as job, page_of as jobs};
pub use super::let_in::LetIn;
pub use super::maintenance::all as maintenance;
pub use super::overview::{all as overview, counts};
pub use super::partitions::all as partitions;
pub use super::places::Place;
pub use super::rank::of as rank;
pub use super::samples::{SamplesQuery, of as samples};
pub use super::streams::script_of as script;
pub use super::submit::tried as tried_submission;
pub use super::usage::{UsageQuery, of as usage};
pub use crate::kernel::views::payers::PayersBy;
