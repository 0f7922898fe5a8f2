//! *Purpose*: where a pending job stands in the line, as JSON.
//!
//! *Owns*: [`Rank`] and its parts.
//!
//! *Promises*: `points` is the sum of the numbers in `parts`; where usage is private, others are
//! told neither, since what an account has used stands in them.
//!
//! *Not here*: how points come about (`kernel::parts::priority`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::ids::JobId;

/// Where a pending job stands in the line, and why there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rank {
    /// The job.
    #[schema(value_type = i64)]
    pub job_id: JobId,
    /// Its place, from 1; null while it may not start (held, too early, a dependency).
    #[schema(example = 3)]
    pub position: Option<u64>,
    /// More goes first; null when it is not your business.
    #[schema(example = 1250)]
    pub points: Option<i64>,
    /// Of what its points are made; null likewise.
    pub parts: Option<RankParts>,
    /// What decides among jobs with as many points.
    pub policy: RankPolicy,
}

/// Of what points are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RankParts {
    /// The job's `priority`.
    #[schema(example = 0)]
    pub priority: i64,
    /// Its partition's `priority_weight`.
    #[schema(example = 1000)]
    pub partition: i64,
    /// For its age: `age_weight` after `max_age`, in proportion before.
    #[schema(example = 50)]
    pub age: i64,
    /// `fair_share_weight` if its account has used nothing, half of it if just its share.
    #[schema(example = 200)]
    pub fair_share: i64,
}

/// What the policy looks at among jobs with as many points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RankPolicy {
    /// The order: `fcfs`, `sjf`, `saf` or `wfp3`.
    #[schema(example = "wfp3")]
    pub order: String,
    /// What it sees in the job (`sjf`: its time limit in s, `saf`: that times its CPUs, `wfp3`:
    /// (waited / time limit)³ × CPUs); null where only the submit order counts.
    #[schema(example = 0.25)]
    pub value: Option<f64>,
    /// How long the job has waited, seconds.
    #[schema(example = 600)]
    pub waited_s: i64,
    /// After this wait it goes before the order, seconds; null: never.
    #[schema(example = 259_200)]
    pub first_after_s: Option<i64>,
}
