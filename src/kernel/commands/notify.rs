//! *Purpose*: tells those who wait for a job how it stands.
//!
//! *Owns*: the way from a job, its task and its array to whoever waits for them.
//!
//! *Promises*: whoever hears of the last that it waited for is seen by a pass in the same step;
//! what it was told is kept with it before the database forgets.
//!
//! *Not here*: who waits for whom (`kernel::parts::eligibility`), what a condition makes of it
//! (`kernel::parts::conditions`).

use std::collections::BTreeSet;

use crate::job::array_spec::TaskSet;
use crate::job::dependency::{Answer, DependencyState, Told};
use crate::job::ids::JobId;
use crate::kernel::change::{Change, Step};
use crate::kernel::state::Kernel;
use crate::time::Time;

impl Kernel {
    /// A job stands so now: whoever waits for it, for its array or for its task, hears of it.
    /// Answers the array that is over with it.
    #[must_use]
    pub(in crate::kernel) fn notify_dependents(
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

    /// Another job stands so now: whoever waits for that may go on.
    pub(in crate::kernel) fn hear(&mut self, job: JobId, standing: DependencyState, now: Time) {
        let over = matches!(standing, DependencyState::Ended { .. });
        for waiter in self.eligibility.waiters_of(job) {
            self.eligibility.hear(waiter, job, standing);
            self.refresh(waiter, now);
        }
        if over && let Some(next) = self.eligibility.leave(job) {
            self.refresh(next, now);
        }
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

    /// What is known by now of the others that this job waits for, to be kept with it.
    pub(in crate::kernel) fn told_so_far(&self, job: JobId) -> Option<Change> {
        let conditions = self.eligibility.get(job)?;
        let some = conditions.answers.iter().any(|answer| *answer != Answer::Open);
        let told = Told { answers: conditions.answers.clone(), done: self.arrays.done_of(job) };
        some.then_some(Change::Told { job, told })
    }

    /// These jobs, and the arrays that they are tasks of, will soon look as if they had not ended
    /// or had never been: whoever waits for them keeps what it was told.
    pub(in crate::kernel) fn keep_answers(
        &self,
        others: impl Iterator<Item = JobId>,
        step: &mut Step,
    ) {
        let waiters = others.flat_map(|other| self.eligibility.waiters_of(other));
        let waiters: BTreeSet<JobId> = waiters.collect();
        step.changes.extend(waiters.into_iter().filter_map(|waiter| self.told_so_far(waiter)));
    }
}
