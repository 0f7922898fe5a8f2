//! *Purpose*: what is due by itself.
//!
//! *Owns*: [`Kernel::run_timers`], [`Kernel::next_alarm`].
//!
//! *Promises*: a job whose time has come may start, one whose deadline has passed is cancelled, and
//! one that can never start if it wants to be, each once.
//!
//! *Not here*: the clock (`actors::resource_manager`).

use crate::job::ids::JobId;
use crate::job::outcome::EndState;
use crate::job::state::StateWord;
use crate::kernel::access::Principal;
use crate::kernel::change::Step;
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::state::Kernel;
use crate::time::Time;

impl Kernel {
    /// When [`Kernel::run_timers`] has something to do next.
    #[must_use]
    pub fn next_alarm(&self) -> Option<Time> {
        let first = self.eligibility.next_alarm();
        first.into_iter().chain(self.maintenance.next_end()).min()
    }

    /// It is so late now: jobs whose time has come may start, those whose deadline has passed are
    /// cancelled, windows that have passed are forgotten.
    pub fn run_timers(&mut self, now: Time) -> Step {
        let mut step = self.pass_windows(now);
        while let Some(job) = self.eligibility.next_due(now) {
            let late = self.eligibility.deadline(job).is_some_and(|deadline| deadline <= now);
            if late {
                let error = "its deadline passed before it could start";
                self.give_up_waiting(job, ("deadline_reached", error), now, &mut step);
            } else if self.can_never_start(job, now) {
                let error = "what it waited for can never be, as it was submitted with \
                             kill_on_invalid_dependency";
                self.give_up_waiting(job, ("dependency_never_satisfied", error), now, &mut step);
            } else {
                self.refresh(job, now);
            }
        }
        step
    }

    /// Whether a job waits for what can never be, and would rather be cancelled then.
    fn can_never_start(&self, job: JobId, now: Time) -> bool {
        let gives_up = self.eligibility.get(job).is_some_and(|conditions| conditions.gives_up);
        let never = |blocked| matches!(blocked, Blocked::Never(_) | Blocked::NeverTasks(..));
        gives_up && self.blocked(job, now).is_some_and(never)
    }

    fn give_up_waiting(
        &mut self,
        job: JobId,
        (cause, error): (&'static str, &str),
        now: Time,
        step: &mut Step,
    ) {
        let Some(queued) = self.queue.remove(job) else { return };
        self.eligibility.forget(job);
        let end = EndState::without_script(StateWord::Cancelled, Some(error.to_owned()), now);
        self.end_pending(queued, end, (cause, Principal::default()), now, step);
    }
}
