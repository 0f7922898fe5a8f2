//! *Purpose*: what is due by itself.
//!
//! *Owns*: [`Kernel::run_timers`], [`Kernel::next_alarm`].
//!
//! *Promises*: a job whose time has come may start, one whose deadline has passed is cancelled,
//! each once.
//!
//! *Not here*: the clock (`actors::resource_manager`).

use std::sync::Arc;

use crate::job::outcome::EndState;
use crate::job::state::StateWord;
use crate::kernel::change::Step;
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
            if late && let Some(queued) = self.queue.remove(job) {
                self.eligibility.forget(job);
                let error = "its deadline passed before it could start".to_owned();
                let end = EndState::without_script(StateWord::Cancelled, Some(error), now);
                self.end_pending(queued, end, ("deadline_reached", Arc::from("")), now, &mut step);
            } else {
                self.refresh(job, now);
            }
        }
        step
    }
}
