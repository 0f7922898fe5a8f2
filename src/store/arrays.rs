//! *Purpose*: what is answered about job arrays.
//!
//! *Owns*: [`Named`], [`Tally`], [`Counts`], [`OpenPart`].
//!
//! *Promises*: plain values.
//!
//! *Not here*: the questions (`store::body`), what follows from the answers
//! (`kernel::parts::arrays`).

use std::collections::BTreeMap;

use crate::job::array_spec::ArraySpec;
use crate::job::ids::JobId;
use crate::job::state::StateWord;

/// The job that a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// This job.
    Job(JobId),
    /// A task that is left: none of its own yet.
    Left,
    /// No such task, or no such job.
    Missing,
}

/// How many tasks of an array are in which state, and the first that did not end well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// As it was submitted.
    pub spec: ArraySpec,
    /// Tasks by state.
    pub states: BTreeMap<StateWord, u64>,
    /// The lowest task that ended otherwise than COMPLETED, and its job.
    pub worst: Option<(u32, JobId)>,
}

impl Tally {
    /// Whether none of them waits or runs.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.states.keys().all(|state| state.is_final())
    }
}

/// How many tasks of an array are in which state.
pub type Counts = BTreeMap<StateWord, u64>;

/// A job of an array that has not ended, as boot reads it.
#[derive(Clone, Debug)]
pub struct OpenPart {
    /// The job.
    pub job: JobId,
    /// Its array.
    pub array: JobId,
    /// Which task; `None` for the row of those that are left.
    pub task: Option<u32>,
    /// What is left.
    pub left: Option<ArraySpec>,
    /// Whether it holds CPUs.
    pub live: bool,
    /// Whether it was started.
    pub started: bool,
}
