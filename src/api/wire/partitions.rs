//! *Purpose*: partitions as JSON.
//!
//! *Owns*: [`Partition`].
//!
//! *Promises*: a limit that a partition does not have of its own is null.
//!
//! *Not here*: how they are set up (`config::partitions`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::ids::CpuId;

/// A partition: CPUs under one name, with limits of their own. A server without partitions shows
/// one, `default`, which is the whole machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Partition {
    /// Its name.
    #[schema(example = "gpu")]
    pub name: String,
    /// `up`, or `down`: then its jobs wait.
    #[schema(example = "up")]
    pub state: String,
    /// Whether it is for jobs that name none.
    pub default: bool,
    /// Its CPUs.
    #[schema(value_type = Vec<u32>, example = json!([0, 1]))]
    pub cpu_ids: Vec<CpuId>,
    /// How many these are.
    #[schema(example = 2)]
    pub total_cpus: u32,
    /// How many of them are free. CPUs that partitions share count for each.
    #[schema(example = 1)]
    pub available_cpus: u32,
    /// Its jobs that hold CPUs.
    pub running_jobs: u64,
    /// Its jobs that wait.
    pub pending_jobs: u64,
    /// Time limit of a job that names none, seconds; null: unlimited.
    pub default_time_limit_s: Option<u32>,
    /// Longest time limit, seconds; null: no bound.
    pub max_time_limit_s: Option<u32>,
    /// Most CPUs of one job; null: all of them.
    pub max_cpus_per_job: Option<u32>,
    /// Most memory of one job, bytes; null: what the server has.
    pub max_memory_bytes_per_job: Option<u64>,
    /// Most of other resources of one job, by name; what is not named is not limited.
    #[serde(default)]
    #[schema(example = json!({"gpu": 2}))]
    pub max_per_job: BTreeMap<String, u64>,
    /// Points that its jobs have beyond their priority.
    pub priority_weight: i64,
    /// Partitions whose jobs go back to the queue when its own need their CPUs.
    #[serde(default)]
    pub preempts: Vec<String>,
}
