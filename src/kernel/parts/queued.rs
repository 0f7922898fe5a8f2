//! *Purpose*: a pending job, as short as it can be kept.
//!
//! *Owns*: [`Queued`].
//!
//! *Promises*: it is `Copy` and of a fixed size, so that a long queue costs little: texts stand in
//! it as numbers.
//!
//! *Not here*: the queue (`kernel::parts::queue`), what the numbers mean (`kernel::parts::names`,
//! `kernel::parts::requests`, `kernel::parts::accounts`).

use crate::job::ids::JobId;
use crate::job::spec::JobSpec;
use crate::policy::input::RequestId;
use crate::resources::partitions::Placement;
use crate::time::Time;

/// What the queue knows of a pending job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// The job.
    pub id: JobId,
    /// CPUs it asks for.
    pub cpus: u32,
    /// What it asks for beside CPUs (`kernel::parts::requests`).
    pub rest: RequestId,
    /// Time limit, seconds.
    pub limit_s: Option<u32>,
    /// Larger runs first.
    pub priority: i64,
    /// Where it may run.
    pub placement: Placement,
    /// The number of its account, where that is counted.
    pub account: u32,
    /// The number of the words by which it names its partition and account
    /// (`kernel::parts::names`).
    pub names: u32,
    /// Attempts it has had.
    pub attempts: u32,
    /// When it was submitted.
    pub submitted: Time,
}

impl Queued {
    /// A job that was just submitted.
    #[must_use]
    pub fn submitted(id: JobId, spec: &JobSpec, now: Time) -> Queued {
        Queued {
            id,
            cpus: spec.cpus,
            limit_s: spec.limit_s,
            priority: spec.priority,
            submitted: now,
            ..Queued::default()
        }
    }
}
