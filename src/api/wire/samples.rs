//! *Purpose*: what was held, waited and ran in a time, as JSON.
//!
//! *Owns*: [`Samples`].
//!
//! *Promises*: all lists are equally long; what is not known is null.
//!
//! *Not here*: adding up (`api::samples`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A time in equal steps. The first value of each list is of the step that begins with `start`;
/// null where nobody knows what was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Samples {
    /// The begin of the first step, RFC 3339.
    #[schema(format = DateTime)]
    pub start: String,
    /// The length of a step, seconds.
    #[schema(example = 60)]
    pub step_s: i64,
    /// CPUs to hand out now.
    #[schema(example = 64)]
    pub cpus_total: u32,
    /// CPUs that jobs held, in the mean of the step.
    #[schema(example = json!([60.5, null]))]
    pub cpus_held: Vec<Option<f64>>,
    /// Bytes of memory that jobs held, likewise.
    #[schema(example = json!([438_086_664_192_u64, null]))]
    pub memory_held_bytes: Vec<Option<u64>>,
    /// GPUs that jobs held, likewise.
    #[schema(example = json!([3.0, null]))]
    pub gpus_held: Vec<Option<f64>>,
    /// Jobs that waited, tasks of arrays among them, likewise.
    #[schema(example = json!([1089.0, null]))]
    pub pending: Vec<Option<f64>>,
    /// Jobs that held CPUs, likewise.
    #[schema(example = json!([11.2, null]))]
    pub running: Vec<Option<f64>>,
    /// Scripts that were started in the step.
    #[schema(example = json!([4, null]))]
    pub started: Vec<Option<u64>>,
    /// Jobs that completed in it.
    #[schema(example = json!([3, null]))]
    pub ended_ok: Vec<Option<u64>>,
    /// Jobs that ended in another way in it.
    #[schema(example = json!([1, null]))]
    pub ended_not_ok: Vec<Option<u64>>,
    /// How long those that were started in it had waited in the mean, seconds; null also where none
    /// was.
    #[schema(example = json!([12.25, null]))]
    pub wait_s: Vec<Option<f64>>,
}
