//! *Purpose*: those of the queue that a pass may see, sorted by what it cannot tell apart.
//!
//! *Owns*: [`Buckets`], [`Bucket`], [`BucketKey`].
//!
//! *Promises*: a bucket has its first job at hand; one that is empty is gone.
//!
//! *Not here*: who is hidden (`kernel::parts::queue`), the line (`kernel::parts::queue::line`).
//!
//! **Buckets.** Jobs of equal priority, CPUs, request and limit keep the order of their ids under
//! every rule, and are alike to a pass: when one of them cannot start, none behind it can, since
//! what is free only becomes less. So a pass needs of each bucket no more jobs than would fit and
//! one that does not, whether ten wait or a million. Where more than the priority makes the points,
//! partition, account and user are part of the kind, and of one kind an earlier job never has
//! fewer.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::btree_map::BTreeMap;

use super::pending::pointed;
use crate::job::ids::JobId;
use crate::kernel::parts::priority::Priorities;
use crate::kernel::parts::queued::Queued;
use crate::policy::input::{PendingJob, RequestId};
use crate::resources::partitions::Placement;
use crate::time::Time;

/// What a pass cannot tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct BucketKey {
    priority: i64,
    cpus: u32,
    rest: RequestId,
    limit_s: Option<u32>,
    placement: Placement,
    account: u32,
    user: u32,
}

/// Jobs of one kind, and when each was submitted.
#[derive(Debug)]
pub(super) struct Bucket {
    /// The first of them, at hand: a pass looks at every bucket's.
    pub(super) head: (JobId, Time),
    pub(super) jobs: BTreeMap<JobId, Time>,
}

/// The jobs that a pass may see.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// How often a pass may start a job, of those that it may start more than once.
    startable_tasks: BTreeMap<JobId, u32>,
    /// By priority, highest first: where the first of them take all that is free, the others need
    /// not be looked at.
    classes: BTreeMap<Reverse<i64>, HashMap<BucketKey, Bucket>>,
}

fn kind(job: &Queued) -> BucketKey {
    let Queued { priority, cpus, rest, limit_s, placement, account, user, .. } = *job;
    BucketKey { priority, cpus, rest, limit_s, placement, account, user }
}

impl BucketKey {
    pub(super) fn job(&self, (id, submitted): (JobId, Time), points: &Priorities) -> PendingJob {
        let BucketKey { priority, cpus, rest, limit_s, placement, account, user } = *self;
        let job = Queued {
            id,
            cpus,
            rest,
            limit_s,
            priority,
            placement,
            account,
            user,
            submitted,
            ..Queued::default()
        };
        pointed(&job, points)
    }
}

impl Buckets {
    pub(super) fn put(&mut self, job: Queued) {
        let head = (job.id, job.submitted);
        let new = || Bucket { head, jobs: BTreeMap::new() };
        let class = self.classes.entry(Reverse(job.priority)).or_default();
        let bucket = class.entry(kind(&job)).or_insert_with(new);
        bucket.head = bucket.head.min(head);
        bucket.jobs.insert(job.id, job.submitted);
    }

    pub(super) fn take(&mut self, job: &Queued) {
        let kind = kind(job);
        let priority = Reverse(job.priority);
        let Some(class) = self.classes.get_mut(&priority) else { return };
        let Some(bucket) = class.get_mut(&kind) else { return };
        bucket.jobs.remove(&job.id);
        if let Some((first, submitted)) = bucket.jobs.first_key_value() {
            bucket.head = (*first, *submitted);
            return;
        }
        class.remove(&kind);
        if class.is_empty() {
            self.classes.remove(&priority);
        }
    }

    /// From now on a pass may start this job so often.
    pub(super) fn set_startable_tasks(&mut self, id: JobId, startable_tasks: u32) {
        match startable_tasks {
            0 | 1 if self.startable_tasks.is_empty() => {}
            0 | 1 => drop(self.startable_tasks.remove(&id)),
            more => drop(self.startable_tasks.insert(id, more)),
        }
    }

    pub(super) fn startable_tasks(&self, id: JobId) -> u32 {
        if self.startable_tasks.is_empty() {
            1
        } else {
            self.startable_tasks.get(&id).copied().unwrap_or(1)
        }
    }

    /// The buckets of each priority, highest first.
    pub(super) fn classes(&self) -> impl Iterator<Item = &HashMap<BucketKey, Bucket>> {
        self.classes.values()
    }

    /// All buckets, those of the highest priority first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&BucketKey, &Bucket)> {
        self.classes.values().flatten()
    }

    pub(super) fn bucket(&self, kind: &BucketKey) -> Option<&Bucket> {
        self.classes.get(&Reverse(kind.priority))?.get(kind)
    }

    /// Whether a pass sees nobody.
    pub(super) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }
}
