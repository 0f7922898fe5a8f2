//! *Purpose*: what an attempt used while it ran, as JSON.
//!
//! *Owns*: [`JobUsage`], [`UsageNow`].
//!
//! *Promises*: all lists are equally long; what could not be measured is null, never 0.
//!
//! *Not here*: what it used in all (`wire::job`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an attempt used, in equal steps. The first values are of the step that begins with `start`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobUsage {
    /// Which run of the job; 0 before the first.
    #[schema(example = 1)]
    pub attempt: u32,
    /// The begin of the first step, RFC 3339; null where there is none.
    #[schema(format = DateTime)]
    pub start: Option<String>,
    /// The length of a step, seconds: 10, and twice as long whenever there would be more than 360.
    #[schema(example = 10)]
    pub step_s: u32,
    /// CPUs that the job asks for.
    #[schema(example = 8)]
    pub cpus: u32,
    /// Bytes of memory that it asks for; null when it asked for none.
    #[schema(example = 103_079_215_104_i64)]
    pub memory_bytes: Option<i64>,
    /// CPUs that were busy, in the mean of the step.
    #[schema(example = json!([7.91, null, 6.4]))]
    pub cpus_busy: Vec<Option<f64>>,
    /// Bytes of memory of its processes, without pages of files; the most that was seen in the
    /// step.
    #[schema(example = json!([64_424_509_440_u64, null, 65_498_251_264_u64]))]
    pub rss_bytes: Vec<Option<u64>>,
    /// How busy its GPUs were, per mille, in the mean of the step and of them; null where it holds
    /// none.
    #[schema(example = json!([920, null, 880]))]
    pub gpu_load: Vec<Option<u32>>,
}

/// What a running job uses now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageNow {
    /// CPUs that were busy in the last 10 s; null when that is not known yet.
    #[schema(example = 7.91)]
    pub cpus_busy: Option<f64>,
    /// Bytes of memory of its processes, without pages of files; null when that is not known.
    #[schema(example = 64_424_509_440_u64)]
    pub rss_bytes: Option<u64>,
    /// How busy its GPUs were, per mille, in their mean; null where it holds none.
    #[schema(example = 920)]
    pub gpu_load: Option<u16>,
}
