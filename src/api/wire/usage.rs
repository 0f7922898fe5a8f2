//! *Purpose*: who used how much, as JSON.
//!
//! *Owns*: [`UsageReport`], [`UsageLine`].
//!
//! *Promises*: plain data; hours are of 3600 s, with fractions.
//!
//! *Not here*: adding up (`store::used`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was used in a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageReport {
    /// Its begin.
    #[schema(format = DateTime)]
    pub since: String,
    /// Its end.
    #[schema(format = DateTime)]
    pub until: String,
    /// By what is added up: `user`, `account`, `name` or `day`.
    pub by: String,
    /// A line for each who used anything, or had jobs that ended or run, 1,000 at most; most CPU
    /// hours first, days in their order.
    pub lines: Vec<UsageLine>,
    /// How many lines more there are.
    #[serde(default)]
    pub left_off: u64,
}

/// What one user, one account or the jobs of one name used, or all on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageLine {
    /// The name, empty for jobs that name none; of a day when it begins, RFC 3339.
    pub name: String,
    /// CPUs held, times hours: of every attempt, as far as it is within the time.
    pub cpu_hours: f64,
    /// CPU hours that were computed: of the last run of each job that ended in the time, as far as
    /// that is known.
    #[serde(default)]
    pub cpu_used_hours: f64,
    /// How much that is of the CPU hours that these same runs had, 0 to 1; null where nothing is
    /// known of any.
    #[serde(default)]
    #[schema(example = 0.87)]
    pub cpu_efficiency: Option<f64>,
    /// GPUs held, times hours.
    pub gpu_hours: f64,
    /// GiB of memory held, as it was asked for, times hours.
    #[serde(default)]
    pub memory_gib_hours: f64,
    /// Jobs that ended in the time.
    pub jobs: u64,
    /// Those of them that completed.
    pub completed: u64,
    /// Those that failed, in whatever way.
    pub failed: u64,
    /// Those that somebody cancelled.
    pub cancelled: u64,
    /// Jobs that hold CPUs now; of days the last one has them.
    pub running: u64,
    /// How long those had waited in the mean that ended in the time and had started, seconds; null
    /// where none had.
    pub mean_wait_s: Option<f64>,
}
