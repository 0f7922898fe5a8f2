//! *Purpose*: what a run used of what it asked for, as JSON.
//!
//! *Owns*: [`Efficiency`] and its parts.
//!
//! *Promises*: what is not known is null, never 0.
//!
//! *Not here*: the arithmetic, and when there is advice (`job::efficiency`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the last run of a job used of what it asked for; of one that runs, so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Efficiency {
    /// Which run of the job; 0 before the first.
    #[schema(example = 1)]
    pub attempt: u32,
    /// CPUs.
    pub cpu: CpuEfficiency,
    /// Memory.
    pub memory: MemoryEfficiency,
    /// GPUs; null where it asked for none.
    pub gpu: Option<GpuEfficiency>,
    /// Time.
    pub time: TimeEfficiency,
    /// What the same job could ask for instead, in one sentence; null where nothing can be said: it
    /// did not complete, ran for less than a minute, was not measured, or needed what it had.
    #[schema(example = "asked 16 CPUs, used 1.2, at most 1.9; `--cpus 2` would start now")]
    pub advice: Option<String>,
}

/// CPUs of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CpuEfficiency {
    /// How many it asked for.
    #[schema(example = 16)]
    pub asked: u32,
    /// How many were busy, in the mean of the run.
    #[schema(example = 1.2)]
    pub used: Option<f64>,
    /// How many were busy in the busiest step that was measured.
    #[schema(example = 1.9)]
    pub most: Option<f64>,
    /// Seconds of CPUs that it used; null before its end.
    #[schema(example = 4_320.5)]
    pub used_s: Option<f64>,
}

/// Memory of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryEfficiency {
    /// Bytes that it asked for; null where it asked for none.
    #[schema(example = 68_719_476_736_i64)]
    pub asked_bytes: Option<i64>,
    /// The most bytes that were seen: of all its processes at one measurement, or of the largest
    /// process alone.
    #[schema(example = 3_221_225_472_u64)]
    pub used_bytes: Option<u64>,
}

/// GPUs of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GpuEfficiency {
    /// How many it asked for.
    #[schema(example = 2)]
    pub asked: u64,
    /// How many were busy, in the mean of the run.
    #[schema(example = 1.7)]
    pub used: Option<f64>,
}

/// Time of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimeEfficiency {
    /// Its time limit, seconds; null is unlimited.
    #[schema(example = 43_200)]
    pub asked_s: Option<i64>,
    /// How long it ran, without what it was suspended, seconds.
    #[schema(example = 3_600)]
    pub used_s: i64,
}
