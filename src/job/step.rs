//! *Purpose*: a step: what a job's script has started as such, and says of it.
//!
//! *Owns*: [`Step`], [`StepEnd`].
//!
//! *Promises*: nothing is decided by a step; it is told, kept and shown.
//!
//! *Not here*: starting steps (`slurm::srun`), keeping them (`store::steps`).

use std::sync::Arc;

use crate::job::outcome::{ExitCode, Usage};
use crate::time::Time;

/// Steps of one attempt that are kept: one a second for some hours. Their numbers begin with 0.
pub const STEPS_MAX: u32 = 10_000;
/// Longest name, bytes.
pub const STEP_NAME_BYTES_MAX: usize = 256;

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number among those of its attempt.
    pub no: u32,
    /// What it is called: as its program without another name.
    pub name: Arc<str>,
    /// How many processes were started for it.
    pub tasks: u32,
    /// How many of the job's CPUs it has.
    pub cpus: u32,
    /// Since when.
    pub start: Time,
    /// Its end, once it is told.
    pub end: Option<StepEnd>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepEnd {
    /// When.
    pub time: Time,
    /// The highest code of its tasks.
    pub exit: ExitCode,
    /// What its tasks used.
    pub usage: Usage,
}
