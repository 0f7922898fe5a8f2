//! *Purpose*: suspends jobs that run, and lets them go on.
//!
//! *Owns*: [`Kernel::suspend`], [`Suspended`].
//!
//! *Promises*: a job keeps its CPUs while it is suspended, and its state; of an array everything
//! that runs is suspended; what is as it is wished for changes nothing; what ends is not suspended
//! any more.
//!
//! *Not here*: how (`engine`), whether it can be done here (`api`).

use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::job::suspension::Suspension;
use crate::kernel::access::{Permitted, Principal};
use crate::kernel::change::{Change, Effect, Step};
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::time::Time;

/// What became of a wish to suspend a job, or to let it go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspended {
    /// It is as wished for.
    Done,
    /// It runs, and nothing of it is suspended that could go on.
    NotSuspended,
    /// Nobody runs; of an array no task.
    NotRunning,
}

impl Kernel {
    /// Suspends a job, or all tasks of an array that run, or lets them go on.
    pub fn suspend(
        &mut self,
        (id, whole): (JobId, bool),
        suspend: bool,
        by: &Permitted,
        now: Time,
    ) -> (Suspended, Step) {
        let mut jobs = if whole { self.arrays.members(id) } else { Vec::new() };
        if jobs.is_empty() {
            jobs.push(id);
        }
        let mut step = Step::default();
        let (mut running, mut suspended) = (false, false);
        jobs.retain(|job| !self.unstored.contains(job));
        for job in jobs {
            let Some(live) = self.live.get_mut(&job) else { continue };
            if live.state.word() != StateWord::Running {
                continue;
            }
            let is = live.suspension.since.is_some();
            (running, suspended) = (true, suspended || is);
            if is == suspend {
                continue;
            }
            let before = live.suspension;
            live.suspension = if suspend { before.suspended(now) } else { before.resumed(now) };
            let (queued, after, attempt) = (live.job, live.suspension, live.attempt());
            let change = self.suspension_changed(&queued, after, &by.principal(), now);
            step.changes.push(change);
            step.effects.push(Effect::Adjust(attempt));
        }
        let became = match (running, suspend || suspended) {
            (false, _) => Suspended::NotRunning,
            (true, false) => Suspended::NotSuspended,
            (true, true) => Suspended::Done,
        };
        (became, step)
    }

    pub(in crate::kernel) fn suspension_changed(
        &mut self,
        job: &Queued,
        suspension: Suspension,
        principal: &Principal,
        now: Time,
    ) -> Change {
        let cause = if suspension.since.is_some() { "suspended" } else { "unsuspended" };
        let words = (Some(StateWord::Running), StateWord::Running);
        let event = self.event((job.id, job.attempts), words, (cause, principal.clone()), now);
        Change::Suspended { event, suspension }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
