//! *Purpose*: a job array as a whole, as JSON.
//!
//! *Owns*: [`ArrayState`].
//!
//! *Promises*: the states of its tasks add up to the tasks that are remembered.
//!
//! *Not here*: its tasks (`wire::job`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::ids::JobId;

/// How the tasks of an array stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArrayState {
    /// The array.
    #[schema(value_type = i64, example = 17)]
    pub array_job_id: JobId,
    /// Its tasks, as they were submitted.
    #[schema(example = "0-99%4")]
    pub tasks: String,
    /// Tasks that wait.
    pub pending: u64,
    /// Tasks that run.
    pub running: u64,
    /// Tasks that are being ended.
    pub completing: u64,
    /// Tasks that ended so.
    pub completed: u64,
    /// Tasks that ended so.
    pub failed: u64,
    /// Tasks that ended so.
    pub cancelled: u64,
    /// Tasks that ended so.
    pub timeout: u64,
    /// Tasks that ended so.
    pub out_of_memory: u64,
    /// Tasks that ended so.
    pub node_fail: u64,
    /// Whether all have ended.
    pub over: bool,
    /// The lowest task that ended otherwise than COMPLETED; ask for it as for any job.
    #[schema(example = "17_3")]
    pub first_not_completed: Option<String>,
}
