//! *Purpose*: what is foretold, as JSON.
//!
//! *Owns*: [`Forecast`].
//!
//! *Promises*: what nobody can say is null.
//!
//! *Not here*: how it is worked out (`observe::openings`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::ids::JobId;

/// What is free when, who starts when, and what could be had now. It assumes that all that runs
/// and waits lasts as long as it may.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Forecast {
    /// As of when.
    #[schema(format = DateTime)]
    pub time: String,
    /// How much is free from when on, beside all that runs and is foretold to start.
    pub free: Vec<FreeFrom>,
    /// When jobs that wait are expected to start, soonest first; those of them that the asker sees.
    pub starts: Vec<ExpectedStart>,
    /// When a job of some size would start that is submitted now, without any other starting later:
    /// of 1, 2, 4 and more CPUs, up to all of them, and of 1, 2 and more GPUs.
    pub earliest: Vec<Earliest>,
}

/// What is free from some time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FreeFrom {
    /// From when on.
    #[schema(format = DateTime)]
    pub time: String,
    /// CPUs.
    #[schema(example = 4)]
    pub cpus: u32,
    /// Bytes of memory; null where memory is not counted.
    pub memory_bytes: Option<u64>,
    /// GPUs; null where there are none.
    pub gpus: Option<u64>,
}

/// When a job is expected to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExpectedStart {
    /// The job.
    #[schema(value_type = i64, example = 17)]
    pub job_id: JobId,
    /// When.
    #[schema(format = DateTime)]
    pub start_time: String,
}

/// When a job of some size would start that is submitted now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Earliest {
    /// CPUs that it asks for.
    #[schema(example = 4)]
    pub cpus: u32,
    /// GPUs that it asks for.
    #[schema(example = 0)]
    pub gpus: u64,
    /// When it would start; null: nobody can say.
    #[schema(format = DateTime)]
    pub start_time: Option<String>,
    /// The longest time limit with which it starts then, seconds; null: any.
    #[schema(example = 8_280)]
    pub limit_s: Option<i64>,
}
