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
    /// The number of its user, where that is counted.
    pub user: u32,
    /// Bytes of its script and environment that count against its user.
    pub input_bytes: u32,
    /// The number of the words by which it names its partition, account and user
    /// (`kernel::parts::names`).
    pub names: u32,
    /// Attempts it has had.
    pub attempts: u32,
    /// When it was submitted.
    pub submitted: Time,
}

impl Queued {
    /// Of an array, or the job that it is, the job of this id: what it runs is the array's.
    #[must_use]
    pub fn as_own(self, id: JobId) -> Queued {
        let input_bytes = if id == self.id { self.input_bytes } else { 0 };
        Queued { id, input_bytes, ..self }
    }

    /// A job that was just submitted.
    #[must_use]
    pub fn submitted(id: JobId, spec: &JobSpec, now: Time) -> Queued {
        Queued {
            id,
            cpus: spec.cpus,
            limit_s: spec.limit_s,
            priority: spec.priority,
            input_bytes: spec.counted_bytes(),
            submitted: now,
            ..Queued::default()
        }
    }
}
