//! *Purpose*: where a pending job stands in the queue.
//!
//! *Owns*: putting it where a pass sees it, or where none does, and looking at it again.
//!
//! *Promises*: a job whose conditions are not met is not shown to a pass, and one whose last
//! condition is met is, in the same step.
//!
//! *Not here*: why a job may not start (`kernel::views::hold`), the queue (`kernel::parts::queue`).

use crate::job::ids::JobId;
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::time::Time;

impl Kernel {
    /// Puts a pending job where a pass sees it, or where none does.
    pub(in crate::kernel) fn enqueue(&mut self, job: Queued, now: Time) {
        let job = self.with_seat(job);
        let may_start = self.may_start(&job, now);
        self.queue.insert(job, may_start);
        self.queue.set_startable_tasks(job.id, self.arrays.startable_tasks(job.id));
    }

    /// Whether a pass may see this job. One that never will be seen may want to be cancelled.
    fn may_start(&mut self, job: &Queued, now: Time) -> bool {
        let reason = self.hold_reason(job, now);
        if let Some(Blocked::Never(_) | Blocked::NeverTasks(..)) = reason {
            self.eligibility.give_up(job.id);
        }
        reason.is_none()
    }

    pub(in crate::kernel) fn refresh(&mut self, job: JobId, now: Time) {
        let Some(queued) = self.queue.get(job).copied() else { return };
        let may_start = self.may_start(&queued, now);
        self.queue.show(job, may_start);
        self.queue.set_startable_tasks(job, self.arrays.startable_tasks(job));
    }

    /// An array's rest and its own tasks are shown to a pass as often as they may start.
    pub(in crate::kernel) fn look_again(&mut self, id: JobId, now: Time) {
        self.refresh(id, now);
        for job in self.arrays.members(id) {
            self.refresh(job, now);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
