//! *Purpose*: ends jobs, tasks and arrays that are not wanted any more.
//!
//! *Owns*: [`Kernel::cancel`], [`Kernel::cancel_task`], [`Cancelled`].
//!
//! *Promises*: whoever waits is over at once; whoever lives keeps its CPUs until its last process
//! is gone.
//!
//! *Not here*: ending processes (`engine`).

use crate::job::dependency::DependencyState;
use crate::job::ids::JobId;
use crate::job::outcome::EndState;
use crate::job::state::StateWord;
use crate::kernel::access::{Permitted, Principal};
use crate::kernel::change::{Change, Effect, Step};
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::kernel::transition::{Fact, JobState, Outcome, transition};
use crate::resources::allocation::Released;
use crate::time::Time;

/// What became of a wish to cancel one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It waited; it is over.
    Ended,
    /// It is live; it is being ended.
    Stopping,
    /// Neither waiting nor live: ended already, or never known. The database tells.
    NotLive,
}

impl Kernel {
    /// Cancels jobs, waiting or live.
    pub fn cancel(&mut self, jobs: &[JobId], by: &Permitted, now: Time) -> (Vec<Cancelled>, Step) {
        let mut step = Step::default();
        let who = &by.principal();
        let outcomes = jobs.iter().map(|id| self.cancel_one(*id, who, now, &mut step));
        (outcomes.collect(), step)
    }

    /// Cancels one task of an array, whether it is a job of its own or not.
    pub fn cancel_task(
        &mut self,
        task: (JobId, u32),
        by: &Permitted,
        now: Time,
    ) -> (Cancelled, Step) {
        let (job, mut step) = self.split_off(task, by, now);
        let outcome = match job {
            Some(job) => self.cancel_job(job, &by.principal(), now, &mut step),
            None => Cancelled::NotLive,
        };
        (outcome, step)
    }

    fn cancel_one(
        &mut self,
        id: JobId,
        principal: &Principal,
        now: Time,
        step: &mut Step,
    ) -> Cancelled {
        let of_array = self.cancel_array(id, principal, now, step);
        of_array.unwrap_or_else(|| self.cancel_job(id, principal, now, step))
    }

    /// Cancels what is left of an array and every task of it; `None` when it is none, or over.
    pub(in crate::kernel) fn cancel_array(
        &mut self,
        id: JobId,
        principal: &Principal,
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

    /// Cancels one job, even if an array has its name.
    pub(in crate::kernel) fn cancel_job(
        &mut self,
        id: JobId,
        principal: &Principal,
        now: Time,
        step: &mut Step,
    ) -> Cancelled {
        if self.unstored.contains(&id) {
            return Cancelled::NotLive;
        }
        if let Some(job) = self.queue.remove(id) {
            let Outcome::Moved(JobState::Finished(end), None) =
                transition(JobState::Pending, Fact::CancelAsked, now)
            else {
                unreachable!("a pending job can be cancelled");
            };
            self.eligibility.forget(id);
            self.end_pending(job, end, ("cancel_asked", principal.clone()), now, step);
            return Cancelled::Ended;
        }
        let Some(live) = self.live.get(&id) else { return Cancelled::NotLive };
        let attempt = live.attempt();
        if let Ok(more) = self.take_fact(attempt, Fact::CancelAsked, principal, now) {
            step.changes.extend(more.changes);
            step.effects.extend(more.effects);
        }
        Cancelled::Stopping
    }

    /// A job that waited is over.
    pub(in crate::kernel) fn end_pending(
        &mut self,
        job: Queued,
        end: EndState,
        cause: (&'static str, Principal),
        now: Time,
        step: &mut Step,
    ) {
        let words = (Some(StateWord::Pending), end.word);
        let event = self.event((job.id, job.attempts), words, cause, now);
        *self.ended.entry(end.word).or_default() += 1;
        self.retries.remove(&job.id);
        step.changes.push(Change::Ended {
            event,
            end,
            released: Released::default(),
            waited_us: None,
        });
        let over = self.notify_dependents(job.id, DependencyState::Ended { completed: false }, now);
        step.effects.extend(over.map(Effect::Over));
    }
}
