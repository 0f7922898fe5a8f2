//! *Purpose*: the attempts of a job, and when it is run again by itself, as JSON.
//!
//! *Owns*: [`Attempt`], [`Retry`].
//!
//! *Promises*: what is not known is null, never invented.
//!
//! *Not here*: how a retry is asked for (`wire::retry`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::resources::HeldResources;

use crate::job::ids::CpuId;
use crate::job::retry_policy::RetryPolicy;

/// One run of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Which run, from 1.
    pub attempt: u32,
    /// How it ended: a final state, `REQUEUED` when somebody asked for another run, `PREEMPTED`
    /// when it made room for another job, or `USER_UNKNOWN` when nobody could say who its owner
    /// is; before that the state of its job. Null where an older Downbeat did not keep it.
    #[schema(example = "FAILED")]
    pub state: Option<String>,
    /// `code:signal`; null before the end and where no script ended.
    #[schema(example = "75:0")]
    pub exit_code: Option<String>,
    /// The code that the script exited with; null where it did not exit.
    #[serde(default)]
    #[schema(example = 75)]
    pub exit_status: Option<u8>,
    /// The signal that ended the script; null where none did.
    #[serde(default)]
    pub exit_signal: Option<u8>,
    /// What went wrong, in a sentence.
    pub error: Option<String>,
    /// Since when it had CPUs.
    #[schema(format = DateTime)]
    pub allocation_time: String,
    /// When its script was spawned.
    #[schema(format = DateTime)]
    pub start_time: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub end_time: Option<String>,
    /// Which CPUs it had.
    #[schema(value_type = Vec<u32>)]
    pub cpu_ids: Vec<CpuId>,
    /// What else it had: numbers of units, or an amount.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"gpu": [0, 1], "license/matlab": 1}))]
    pub resources: HeldResources,
}

/// When a job is run again by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Retry {
    /// How often at most.
    #[schema(example = 3)]
    pub max: u32,
    /// After which ends.
    #[schema(example = json!(["failed", "node_fail"]))]
    pub on: Vec<String>,
    /// The wait before the first retry, seconds; it doubles with each.
    pub delay_s: u32,
    /// The longest wait, seconds.
    pub max_delay_s: u32,
    /// How often it was run again by itself so far.
    pub used: u32,
}

impl Retry {
    /// A policy of which so much is used up.
    #[must_use]
    pub fn new(policy: &RetryPolicy, used: u32) -> Retry {
        let on = policy.on.iter().map(ToString::to_string).collect();
        let RetryPolicy { max, delay_s, max_delay_s, .. } = *policy;
        Retry { max, on, delay_s, max_delay_s, used }
    }
}
