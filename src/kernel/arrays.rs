//! *Purpose*: makes the tasks of an array jobs of their own.
//!
//! *Owns*: the split.
//!
//! *Promises*: a task is started once, lowest first; the last one keeps the array's number.
//!
//! *Not here*: sets of tasks (`job::array_spec`), what a dependency asks for
//! (`kernel::parts::conditions`), whose turn it is (`policy`).
//!
//! **Split.** The array's own job stands for the tasks that are left. Starting one gives it the
//! next job id; the last one keeps the array's. `17_4` may also become a job of its own without
//! starting, when somebody holds, changes or cancels it alone.

use std::sync::Arc;

use crate::job::array_spec::TaskSet;
use crate::job::dependency::DependencyState;
use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::kernel::change::{Change, Step};
use crate::kernel::kernel::{Cancelled, Kernel};
use crate::kernel::parts::arrays::Arrays;
use crate::kernel::parts::queued::Queued;
use crate::time::Time;

impl Kernel {
    /// The next task of an array, with the id that it gets; nothing has changed yet.
    pub(super) fn next_task(&self, id: JobId) -> Option<(u32, JobId)> {
        let (task, last) = self.arrays.get(id)?.next()?;
        Some((task, self.id_of_task(id, last)))
    }

    /// The last task that is left keeps the array's own id.
    fn id_of_task(&self, array: JobId, last: bool) -> JobId {
        if last { array } else { JobId(self.next_job) }
    }

    /// Makes a task that is left a job of its own: of `rest`, which stands in the queue. The last
    /// one takes its place.
    pub(super) fn split(
        &mut self,
        rest: Queued,
        (task, job): (u32, JobId),
        live: bool,
        principal: &Arc<str>,
        now: Time,
        step: &mut Step,
    ) {
        let id = rest.id;
        let last = job == id;
        if last {
            self.queue.remove(id);
        } else {
            self.next_job += 1;
            if let Some(again) = self.again.get(&id).cloned() {
                self.again.insert(job, again);
            }
        }
        let Some(left) = self.arrays.take(id, (task, job), live) else { return };
        let from = last.then_some(StateWord::Pending);
        let cause = ("split", Arc::clone(principal));
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
        principal: &Arc<str>,
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
        self.split(rest, (task, job), false, principal, now, &mut step);
        self.eligibility.register(job, conditions);
        step.changes.extend(self.told_so_far(job));
        self.place(Queued { id: job, ..rest }, now);
        (Some(job), step)
    }

    /// An array's rest and its own tasks are shown to a pass as often as they may start.
    pub(super) fn look_again(&mut self, id: JobId, now: Time) {
        self.refresh(id, now);
        for job in self.arrays.members(id) {
            self.refresh(job, now);
        }
    }

    /// A job stands so now: whoever waits for it, for its array or for its task, hears of it.
    /// Answers the array that is over with it.
    #[must_use]
    pub(super) fn told(
        &mut self,
        job: JobId,
        standing: DependencyState,
        now: Time,
    ) -> Option<JobId> {
        let (id, tasks) = match self.arrays.task_of(job) {
            Some((id, task)) => {
                if job != id {
                    self.hear(job, standing, now);
                }
                self.arrays.note(job, (id, task), standing);
                (id, TaskSet::one(task))
            }
            None if self.arrays.stands_for_rest(job) => (job, self.arrays.give_up(job)),
            None => {
                self.hear(job, standing, now);
                return None;
            }
        };
        self.hear_tasks(id, &tasks, standing, now);
        self.look_again(id, now);
        let array = self.arrays.get(id)?;
        if !array.is_over() {
            let standing = array.standing();
            if standing == DependencyState::Started {
                self.hear(id, standing, now);
            }
            return None;
        }
        let completed = array.all_completed();
        self.arrays.remove(id);
        self.hear(id, DependencyState::Ended { completed }, now);
        Some(id)
    }

    fn hear_tasks(&mut self, id: JobId, tasks: &TaskSet, standing: DependencyState, now: Time) {
        for waiter in self.eligibility.waiters_of(id) {
            if let DependencyState::Ended { completed } = standing {
                self.arrays.heard(waiter, id, tasks, completed);
            }
            self.eligibility.hear_tasks(waiter, id, tasks, standing);
            self.refresh(waiter, now);
        }
    }

    /// Cancels what is left of an array and every task of it; `None` when it is none, or over.
    pub(super) fn cancel_array(
        &mut self,
        id: JobId,
        principal: &Arc<str>,
        now: Time,
        step: &mut Step,
    ) -> Option<Cancelled> {
        self.arrays.get(id)?;
        let mut all = self.arrays.members(id);
        if self.arrays.stands_for_rest(id) {
            all.push(id);
        }
        let outcomes = all.into_iter().map(|job| self.cancel_job(job, principal, now, step));
        let outcomes: Vec<Cancelled> = outcomes.collect();
        let worst = [Cancelled::Stopping, Cancelled::Ended];
        worst.into_iter().find(|outcome| outcomes.contains(outcome))
    }

    /// Cancels one task of an array, whether it is a job of its own or not.
    pub fn cancel_task(
        &mut self,
        task: (JobId, u32),
        principal: &Arc<str>,
        now: Time,
    ) -> (Cancelled, Step) {
        let (job, mut step) = self.split_off(task, principal, now);
        let outcome = match job {
            Some(job) => self.cancel_job(job, principal, now, &mut step),
            None => Cancelled::NotLive,
        };
        (outcome, step)
    }

    /// Arrays that are not over.
    #[must_use]
    pub fn arrays(&self) -> &Arrays {
        &self.arrays
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
