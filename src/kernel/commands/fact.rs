//! *Purpose*: takes what happened to an attempt.
//!
//! *Owns*: [`Kernel::fact`].
//!
//! *Promises*: what an attempt held comes back in the same step that ends it; a late or doubled
//! fact changes nothing.
//!
//! *Not here*: the order of states (`kernel::transition`), going back into the queue
//! (`kernel::commands::requeue`).

use crate::job::dependency::DependencyState;
use crate::job::ids::{Attempt, JobId};
use crate::job::outcome::Handle;
use crate::job::state::StateWord;
use crate::kernel::access::Principal;
use crate::kernel::change::{Change, Effect, Event, Step};
use crate::kernel::parts::accounts::UNCOUNTED;
use crate::kernel::parts::live::Live;
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::kernel::transition::{Fact, JobState, Outcome, Refused, RequeueReason, transition};
use crate::resources::allocation::Allocation;
use crate::time::Time;

impl Kernel {
    /// Takes a fact about an attempt.
    ///
    /// # Errors
    /// [`Refused::Stale`] for late, doubled or unknown ones, which are normal;
    /// [`Refused::Illegal`] for what cannot be: a bug of ours.
    pub fn fact(&mut self, attempt: Attempt, fact: Fact, now: Time) -> Result<Step, Refused> {
        self.take_fact(attempt, fact, &Principal::default(), now)
    }

    pub(in crate::kernel) fn take_fact(
        &mut self,
        attempt: Attempt,
        fact: Fact,
        principal: &Principal,
        now: Time,
    ) -> Result<Step, Refused> {
        match self.live.get(&attempt.job) {
            Some(live) if live.attempt() == attempt => {}
            _ => {
                self.stale_facts += 1;
                return Err(Refused::Stale);
            }
        }
        let Some(live) = self.live.remove(&attempt.job) else { unreachable!("looked up above") };
        let Live { job, state, granted, mut suspension, signals } = live;
        let from = state.word();
        let cause = fact.word();
        let heard_of_start =
            matches!(state, JobState::Running(..) | JobState::Completing(_, _, Some(_)));
        match transition(state, fact, now) {
            Outcome::Moved(state, given_back) => {
                let state = self.retry_or_finish(job.id, state, now);
                let mut before = Vec::new();
                if !matches!(state, JobState::Running(..)) && suspension.since.is_some() {
                    // What ends goes on until then.
                    suspension = suspension.resumed(now);
                    before.push(self.suspension_changed(&job, suspension, principal, now));
                }
                let event = self.event(
                    (job.id, job.attempts),
                    (Some(from), state.word()),
                    (cause, principal.clone()),
                    now,
                );
                let standing = match &state {
                    JobState::Finished(end) => {
                        Some(DependencyState::Ended { completed: end.word == StateWord::Completed })
                    }
                    state => state.handle().map(|_| DependencyState::Started),
                };
                let live = Live { job, state, granted, suspension, signals };
                let mut step = self.moved(live, given_back, heard_of_start, event);
                step.changes.splice(0..0, before);
                if let Some(standing) = standing {
                    let over = self.notify_dependents(job.id, standing, now);
                    step.effects.extend(over.map(Effect::Over));
                }
                Ok(step)
            }
            Outcome::Unmoved(state, _fact, why) => {
                self.live.insert(job.id, Live { job, state, granted, suspension, signals });
                if why == Refused::Stale {
                    self.stale_facts += 1;
                }
                Err(why)
            }
        }
    }

    fn moved(
        &mut self,
        live: Live,
        given_back: Option<Allocation>,
        heard_of_start: bool,
        event: Event,
    ) -> Step {
        if matches!(live.state, JobState::Requeued(..)) {
            return self.return_to_queue(live, given_back, event);
        }
        let attempt = live.attempt();
        let time = event.time;
        let mut step = Step::default();
        match &live.state {
            JobState::Pending | JobState::Starting(_) | JobState::Requeued(..) => {
                unreachable!("no fact leads there, or it was dealt with")
            }
            JobState::Running(_, handle) => {
                step.changes.push(started(event, &live, *handle));
            }
            JobState::Completing(_, _, Some(handle)) if event.cause == "started" => {
                step.changes.push(started(event, &live, *handle));
            }
            JobState::Completing(_, reason, _) => {
                step.changes.push(Change::Completing { event, reason: *reason });
                if reason.is_told() {
                    step.effects.push(Effect::Stop(attempt));
                }
            }
            JobState::Finished(end) => {
                let word = end.word;
                let released = given_back.as_ref().map(Allocation::units).unwrap_or_default();
                let unheard = end.handle.filter(|_| !heard_of_start);
                let waited_us = unheard.map(|h| h.start_time.since_us(live.job.submitted));
                let end = end.clone();
                step.changes.push(Change::Ended { event, end, released, waited_us });
                step.effects.push(Effect::Retire(attempt));
                *self.ended.entry(word).or_default() += 1;
                self.retries.remove(&attempt.job);
            }
        }
        match given_back {
            Some(allocation) => {
                self.ledger.release(allocation);
                self.releases += 1;
                self.charge(&live.job, time, &mut step);
            }
            None => {
                self.live.insert(live.job.id, live);
            }
        }
        step
    }

    /// The state that an end leads to: another attempt, if the job's policy has one left for it.
    pub(in crate::kernel) fn retry_or_finish(
        &self,
        job: JobId,
        state: JobState,
        now: Time,
    ) -> JobState {
        let JobState::Finished(end) = state else { return state };
        match self.retries.get(&job).and_then(|state| state.retry_at(&end, now)) {
            Some(begin) => JobState::Requeued(end, RequeueReason::Retry { begin }),
            None => JobState::Finished(end),
        }
    }

    /// A job gave its CPUs back, which its account used.
    pub(in crate::kernel) fn charge(&mut self, job: &Queued, now: Time, step: &mut Step) {
        if (job.account, job.user) == (UNCOUNTED, UNCOUNTED) {
            return;
        }
        self.rules.ended(job, &self.requests.demand(job), now);
        if let Some((account, cpu_us, at)) = self.rules.accounts.charge(job.account) {
            step.changes.push(Change::Charged { account, cpu_us, at });
        }
    }
}

fn started(event: Event, live: &Live, handle: Handle) -> Change {
    let waited_us = handle.start_time.since_us(live.job.submitted);
    Change::Started { event, handle, waited_us }
}
