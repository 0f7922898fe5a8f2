//! *Purpose*: what an attempt used while it ran.
//!
//! *Owns*: [`UsageSeries`].
//!
//! *Promises*: all lists are equally long; what could not be measured is none, and never 0.
//!
//! *Not here*: measuring (`engine`), when it is measured (`actors::usage_watch`).

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// A time in equal steps; the first values are of the step that begins with `start`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSeries {
    /// The begin of the first step.
    pub start: Time,
    /// The length of a step, seconds.
    pub step_s: u32,
    /// CPUs that were busy, in the mean of the step, per mille of one.
    pub cpus_busy: Vec<Option<u32>>,
    /// Bytes of memory, the most that was seen in the step.
    pub rss_bytes: Vec<Option<u64>>,
    /// How busy its GPUs were, in the mean of the step and of them, per mille.
    pub gpu_load: Vec<Option<u32>>,
}
