//! *Purpose*: sends signals to jobs that run.
//!
//! *Owns*: [`Kernel::signal`], [`Signalled`]; which signals of an attempt its supervisor may not
//! have yet.
//!
//! *Promises*: each signal is an event, and the number of the event is its own; of an array
//! everything that runs is sent it; whoever does not run is sent nothing.
//!
//! *Not here*: sending (`engine`), the way there (`actors::executor`).

use crate::job::ids::{Attempt, EventId, JobId};
use crate::job::signal::Signal;
use crate::job::state::StateWord;
use crate::kernel::access::{Permitted, Principal};
use crate::kernel::change::{Change, Effect, Step};
use crate::kernel::state::Kernel;
use crate::time::Time;

/// Signals of one attempt that may be on their way to its supervisor: they take milliseconds, so
/// more are a supervisor that does not move.
pub const SIGNALS_UNDER_WAY_MAX: usize = 64;

/// What became of a wish to send a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signalled {
    /// It is on its way.
    Sent,
    /// Nobody runs; of an array no task.
    NotRunning,
    /// So many are on their way to one of them already that none was sent to anybody.
    TooMany(JobId),
}

impl Kernel {
    /// Sends a signal to a job, or to all tasks of an array that run.
    pub fn signal(
        &mut self,
        id: JobId,
        whole: bool,
        signal: Signal,
        by: &Permitted,
        now: Time,
    ) -> (Signalled, Step) {
        let mut jobs = if whole { self.arrays.members(id) } else { Vec::new() };
        if jobs.is_empty() {
            jobs.push(id);
        }
        jobs.retain(|job| self.runs(*job));
        let mut step = Step::default();
        if let Some(full) = jobs.iter().find(|job| self.is_full(**job)) {
            return (Signalled::TooMany(*full), step);
        }
        for job in &jobs {
            self.signal_one(*job, signal, &by.principal(), now, &mut step);
        }
        (if jobs.is_empty() { Signalled::NotRunning } else { Signalled::Sent }, step)
    }

    /// Its supervisor has these signals of an attempt, up to this one.
    pub fn signals_given(&mut self, attempt: Attempt, last: EventId) {
        let live = self.live.get_mut(&attempt.job).filter(|live| live.attempt() == attempt);
        if let Some(live) = live {
            live.signals.retain(|no| *no > last);
        }
    }

    fn runs(&self, job: JobId) -> bool {
        self.live.get(&job).is_some_and(|live| live.state.word() == StateWord::Running)
            && !self.unstored.contains(&job)
    }

    fn is_full(&self, job: JobId) -> bool {
        self.live.get(&job).is_some_and(|live| live.signals.len() >= SIGNALS_UNDER_WAY_MAX)
    }

    fn signal_one(
        &mut self,
        job: JobId,
        signal: Signal,
        principal: &Principal,
        now: Time,
        step: &mut Step,
    ) {
        let Some(live) = self.live.get(&job) else { return };
        let (attempt, first) = (live.attempt(), live.signals.first().copied());
        let (words, cause) = ((Some(StateWord::Running), StateWord::Running), "signal_asked");
        let event = self.event((job, attempt.n), words, (cause, principal.clone()), now);
        if let Some(live) = self.live.get_mut(&job) {
            live.signals.push(event.id);
        }
        let given = first.unwrap_or(event.id);
        step.changes.push(Change::Signalled { event, signal, given });
        step.effects.push(Effect::Signal(attempt));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
