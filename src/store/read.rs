//! *Purpose*: answers about jobs, each with the commit that it is of.
//!
//! *Owns*: [`AsOf`], [`JobPage`], [`LaunchRecords`], [`Age`], [`DbSnapshot`].
//!
//! *Promises*: plain values.
//!
//! *Not here*: the questions (`store::body`), records (`store::record`), JSON (`api::wire`).

use std::sync::Arc;

use super::order::Cursor;
use super::record::{AllocationRecord, JobRecord, ScriptRecord};
use crate::job::array_spec::ArraySpec;
use crate::job::ids::{CommitNo, CpuId, JobId, Owner, UnitId};
use crate::job::state::StateWord;
use crate::resources::allocation::Share;
use crate::time::Time;

/// An answer and the commit it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsOf<T> {
    /// The commit.
    pub commit_no: CommitNo,
    /// The answer.
    pub value: T,
}

/// A job with its latest allocation.
pub type JobAndAllocation = (JobRecord, Option<AllocationRecord>);

/// A page of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobPage {
    /// The jobs, fewer than asked for where looking on would take too long.
    pub jobs: Vec<JobAndAllocation>,
    /// There may be more behind this place.
    pub next: Option<Cursor>,
}

/// All that launching needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchRecords {
    /// The job.
    pub job: JobRecord,
    /// Its script.
    pub script: ScriptRecord,
    /// The CPUs it holds.
    pub cpus: Vec<CpuId>,
    /// What else it holds.
    pub rest: Vec<Share>,
    /// All tasks of its array, if it is one of them.
    pub array_spec: Option<ArraySpec>,
}

/// What retention asks about a job that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// The job.
    pub job: JobId,
    /// Whose it is.
    pub owner: Owner,
    /// How it ended.
    pub state: StateWord,
    /// When it was submitted.
    pub submitted: Time,
    /// The array that it is a task of.
    pub array: Option<JobId>,
    /// When it ended; a task of an array has not as long as another has not, or did so later than
    /// asked for: an array is forgotten as a whole.
    pub ended: Option<Time>,
}

/// What the database says about "now", for the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DbSnapshot {
    /// Unreleased allocations.
    pub unreleased: Vec<AllocationRecord>,
    /// Held units: the resource, the unit, and the job.
    pub held: Vec<(Arc<str>, UnitId, JobId)>,
    /// Jobs in RUNNING or COMPLETING.
    pub live: Vec<JobId>,
    /// Jobs in PENDING, counted up to [`PENDING_COUNTED_MAX`].
    pub pending: u64,
}

/// An audit counts no more pending jobs than this: it is made every ten seconds, and a million
/// entries take 30 ms. Of a longer queue it knows that it is at least so long; a job that only
/// memory or only the database has comes to light when the queue is shorter again.
pub const PENDING_COUNTED_MAX: u64 = 20_000;
