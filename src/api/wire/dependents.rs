//! *Purpose*: who waits for a job, as JSON.
//!
//! *Owns*: [`Dependents`].
//!
//! *Promises*: a job is as in every list.
//!
//! *Not here*: finding them (`api::dependents`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::job::Job;

/// Jobs that may not start because they depend on another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Dependents {
    /// The jobs, by their numbers; 100 at most.
    pub jobs: Vec<Job>,
    /// There are more, or may be.
    pub has_more: bool,
}
