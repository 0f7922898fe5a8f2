//! *Purpose*: why a pass may not see a pending job.
//!
//! *Owns*: how a job stands under the rules of now, and what of them keeps it.
//!
//! *Promises*: a job of a partition that is down, or gone, or allows less than it asks for, is not
//! seen by a pass.
//!
//! *Not here*: what else keeps a job (`kernel::parts::conditions`, `kernel::parts::arrays`), the
//! rules (`kernel::parts::rules`).

use crate::job::ids::JobId;
use crate::job::request::Request;
use crate::job::spec::JobSpec;
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::time::Time;

impl Kernel {
    /// How a new job would stand in the queue.
    pub(in crate::kernel) fn queued(&self, id: JobId, spec: &JobSpec, now: Time) -> Queued {
        let seat = self.rules.seat(&spec.partition, &spec.account, spec.counted_user());
        seat.of(Queued::submitted(id, spec, now))
    }

    /// A job as the rules have it now, which were others when it was numbered.
    pub(in crate::kernel) fn seated(&self, job: Queued) -> Queued {
        let Some(words) = self.names.get(job.names) else { return job };
        self.rules.seat(&words.partition, &words.account, &words.user).of(job)
    }

    /// Why a pass may not see this job.
    pub(in crate::kernel) fn hold_reason(&self, job: &Queued, now: Time) -> Option<Blocked> {
        let conditions = self.eligibility.blocked(job.id, now);
        conditions.or_else(|| self.arrays.blocked(job.id)).or_else(|| self.partition_hold(job))
    }

    /// Why its partition does not let it start.
    pub(in crate::kernel) fn partition_hold(&self, job: &Queued) -> Option<Blocked> {
        if self.rules.partitions.is_empty() {
            return None;
        }
        match self.rules.partitions.at(job.placement.partition) {
            Some(partition) if !partition.up => Some(Blocked::PartitionDown),
            Some(partition) => {
                let nothing = Request::default();
                let rest = self.requests.get(job.rest).map_or(&nothing, |rest| rest);
                partition.forbids(job.cpus, rest, job.limit_s).map(Blocked::PartitionAllows)
            }
            None => Some(Blocked::PartitionGone),
        }
    }
}

#[cfg(test)]
mod tests;
