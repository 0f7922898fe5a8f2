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
    /// By what is added up: `user` or `account`.
    pub by: String,
    /// A line for each who used anything, or had jobs that ended or run; most CPU hours first.
    pub lines: Vec<UsageLine>,
}

/// What one user, or one account, used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageLine {
    /// His name; empty for jobs that name none.
    pub name: String,
    /// CPUs held, times hours: of every attempt, as far as it is within the time.
    pub cpu_hours: f64,
    /// The same of GPUs.
    pub gpu_hours: f64,
    /// Jobs that ended in the time.
    pub jobs: u64,
    /// Those of them that completed.
    pub completed: u64,
    /// Those that failed, in whatever way.
    pub failed: u64,
    /// Those that somebody cancelled.
    pub cancelled: u64,
    /// Jobs that hold CPUs now.
    pub running: u64,
    /// How long those had waited in the mean that ended in the time and had started, seconds; null
    /// where none had.
    pub mean_wait_s: Option<f64>,
}
