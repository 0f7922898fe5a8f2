//! *Purpose*: makes the tasks of an array jobs of their own.
//!
//! *Owns*: the split, [`Kernel::split_off`].
//!
//! *Promises*: a task is started once, lowest first; the last one keeps the array's number.
//!
//! *Not here*: which tasks are left, and how many may run (`kernel::parts::arrays`).
//!
//! **Split.** The array's own job stands for the tasks that are left. Starting one gives it the
//! next job id; the last one keeps the array's. `17_4` may also become a job of its own without
//! starting, when somebody holds, changes or cancels it alone.

use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::kernel::access::{Permitted, Principal};
use crate::kernel::change::{Change, Step};
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::time::Time;

impl Kernel {
    /// The next task of an array, with the id that it gets; nothing has changed yet.
    pub(in crate::kernel) fn next_task(&self, id: JobId) -> Option<(u32, JobId)> {
        let (task, last) = self.arrays.get(id)?.next()?;
        Some((task, self.id_of_task(id, last)))
    }

    /// The last task that is left keeps the array's own id.
    fn id_of_task(&self, array: JobId, last: bool) -> JobId {
        if last { array } else { JobId(self.next_job) }
    }

    /// Makes a task that is left a job of its own: of `rest`, which stands in the queue. The last
    /// one takes its place.
    pub(in crate::kernel) fn split(
        &mut self,
        rest: Queued,
        (task, job): (u32, JobId),
        live: bool,
        principal: &Principal,
        now: Time,
        step: &mut Step,
    ) {
        let id = rest.id;
        let last = job == id;
        if last {
            self.queue.remove(id);
        } else {
            self.next_job += 1;
            if let Some(state) = self.retries.get(&id).cloned() {
                self.retries.insert(job, state);
            }
        }
        let Some(left) = self.arrays.take(id, (task, job), live) else { return };
        let from = last.then_some(StateWord::Pending);
        let cause = ("split", principal.clone());
        let event = self.event((job, rest.attempts), (from, StateWord::Pending), cause, now);
        let (array, submitted) = (id, rest.submitted);
        step.changes.push(Change::Split { event, array, task, left, submitted });
        self.look_again(id, now);
    }

    /// Makes a task of an array that has not started a job of its own. Answers which job it is
    /// then; `None` when it is none that is left.
    pub fn split_off(
        &mut self,
        (id, task): (JobId, u32),
        by: &Permitted,
        now: Time,
    ) -> (Option<JobId>, Step) {
        let mut step = Step::default();
        let array = self.arrays.get(id);
        let left = array.filter(|array| array.left.contains(task));
        let (Some(left), Some(rest)) = (left, self.queue.get(id).copied()) else {
            return (array.and_then(|array| array.member(task)), step);
        };
        let job = self.id_of_task(id, left.left.len() == 1);
        let lost = left.is_lost(task);
        let conditions = self.eligibility.of_task(id, task, left.followed(), lost);
        if job == id {
            self.eligibility.forget(id);
        }
        self.split(rest, (task, job), false, &by.principal(), now, &mut step);
        self.eligibility.register(job, conditions);
        step.changes.extend(self.told_so_far(job));
        self.enqueue(rest.as_own(job), now);
        (Some(job), step)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
