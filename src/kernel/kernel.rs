//! *Purpose*: decides: every command and every fact goes through here.
//!
//! *Owns*: the ledger, the queue, live attempts, the next ids, the counts.
//!
//! *Promises*: time is an argument; each call returns one [`Step`] whose changes belong into
//! one transaction; a refused command changes nothing; memory follows the queue, not history
//! (neither scripts nor environments are kept).
//!
//! *Not here*: batching and what waits for durability (`kernel::outbox`), the order of states
//! (`kernel::transition`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::job::dependency::DependencyState;
use crate::job::ids::{Attempt, EventId, JobId};
use crate::job::outcome::{EndState, Handle};
use crate::job::spec::JobSpec;
use crate::job::state::StateWord;
use crate::kernel::change::{Change, Effect, Event, Step};
use crate::kernel::parts::arrays::Arrays;
use crate::kernel::parts::eligibility::{DependencySnapshot, Eligibility};
use crate::kernel::parts::live::Live;
use crate::kernel::parts::looks::Looks;
use crate::kernel::parts::maintenance::Windows;
use crate::kernel::parts::names::Names;
use crate::kernel::parts::queue::Queue;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::requests::Requests;
use crate::kernel::parts::retries::Again;
use crate::kernel::parts::rules::Rules;
use crate::kernel::transition::{Fact, JobState, Outcome, Refused, transition};
use crate::policy::claims::aside;
use crate::policy::input::{RequestId, demand};
use crate::policy::plan::Plan;
use crate::resources::allocation::{Allocation, Released};
use crate::resources::ledger::Ledger;
use crate::time::Time;

/// What is fixed for one reign of a server.
#[derive(Clone, Debug)]
pub struct BootContext {
    /// This boot of the machine.
    pub boot_id: Arc<str>,
    /// Random text in the engine keys of this reign's attempts.
    pub nonce: Arc<str>,
}

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

/// The kernel.
#[derive(Debug)]
pub struct Kernel {
    pub(super) ledger: Ledger,
    pub(super) queue: Queue,
    pub(super) live: BTreeMap<JobId, Live>,
    pub(super) boot_context: BootContext,
    pub(super) next_job: i64,
    pub(super) next_event: i64,
    pub(super) ended: BTreeMap<StateWord, u64>,
    pub(super) eligibility: Eligibility,
    pub(super) arrays: Arrays,
    /// What jobs go back into the queue with, of those that have any of it.
    pub(super) again: BTreeMap<JobId, Again>,
    /// Whom room was made for, and when that was, in this order.
    pub(super) claims: Vec<(Time, JobId)>,
    pub(super) maintenance: Windows,
    pub(super) rules: Rules,
    /// The words of all jobs that have not ended.
    pub(super) names: Names,
    /// What jobs ask for beside CPUs, of all that have not ended.
    pub(super) requests: Requests,
    /// Who else uses units of what is handed out.
    pub(super) looks: Looks,
    /// Submissions that are not durable yet, and the numbers of their words and requests.
    pub(super) entering: HashMap<JobId, (u32, RequestId)>,
    pub(super) allocations: u64,
    pub(super) releases: u64,
    pub(super) stale_facts: u64,
}

impl Kernel {
    /// The same kernel, which hands out so much memory; `None`: memory is not counted.
    #[must_use]
    pub fn with_memory(mut self, total: Option<u64>) -> Kernel {
        self.ledger.count_memory(total);
        self
    }

    /// Numbers jobs. They enter the queue by [`Kernel::admit`] once the step is durable; if
    /// that fails their numbers are burnt.
    pub fn submit(
        &mut self,
        specs: Vec<Arc<JobSpec>>,
        elsewhere: &DependencySnapshot,
        principal: &Arc<str>,
        now: Time,
    ) -> (Vec<JobId>, Step) {
        let mut step = Step::default();
        let mut admitted = Vec::with_capacity(specs.len());
        let first = self.next_job;
        let new = specs.iter().zip(first..).map(|(spec, id)| (JobId(id), &**spec));
        self.gather_singletons(new, elsewhere);
        for spec in specs {
            let id = JobId(self.next_job);
            self.next_job += 1;
            let event = self.event(
                (id, 0),
                (None, StateWord::Pending),
                ("submitted", Arc::clone(principal)),
                now,
            );
            admitted.push(self.entering(id, &spec, now));
            let conditions = self.conditions_of(&spec, elsewhere);
            self.eligibility.register(id, conditions);
            if let Some(array) = &spec.array {
                let followed = self.array_progress(&spec.dependencies, elsewhere);
                self.arrays.enter(id, array, &followed);
            }
            if let Some(policy) = &spec.retry {
                self.again.insert(id, Again::retrying(policy));
            }
            step.changes.push(Change::Submitted { event, spec });
            // Whoever has ended may be forgotten before this is read again.
            step.changes.extend(self.told_so_far(id));
        }
        let ids = admitted.iter().map(|q| q.id).collect();
        step.effects.push(Effect::Admit(admitted));
        (ids, step)
    }

    /// Durable submissions enter the queue.
    pub fn admit(&mut self, jobs: Vec<Queued>) {
        for mut job in jobs {
            self.arrays.admit(job.id);
            if self.entered(job.id) {
                // The rules may have become others since it was numbered.
                job = self.seated(job);
            }
            self.place(job, job.submitted);
        }
    }

    /// Grants CPUs to a plan's jobs, and sends those back that make room; entries that no longer
    /// fit or no longer wait are skipped.
    /// Answers how many were started and how many were stale.
    pub fn start(&mut self, plan: &Plan, now: Time) -> (u32, u32, Step) {
        let mut step = Step::default();
        let (mut started, mut stale) = (0, 0);
        self.drop_claims(&mut step);
        let mut claimants = self.claimants(now);
        let unlooked = self.unlooked(now);
        for id in &plan.start {
            let shown = self.queue.is_shown(*id);
            let Some(job) = self.queue.get(*id).copied().filter(|_| shown) else {
                stale += 1;
                continue;
            };
            let asked = self.requests.demand(&job);
            if !self.rules.accounts.may_start(job.account, &asked) {
                stale += 1;
                continue;
            }
            let task = self.next_task(job.id);
            let own = task.map_or(job.id, |(_, own)| own);
            let attempt = Attempt { job: own, n: job.attempts + 1 };
            let before = claimants.iter().position(|claim| claim.job == *id);
            let others = &claimants[..before.unwrap_or(claimants.len())];
            let others = others.iter().map(|claim| demand(self.requests.parts(), claim));
            let kept = aside(self.ledger.free_room(), others).plus(&unlooked);
            let given = self.ledger.allocate_beside(attempt, &asked, &kept);
            let Ok(allocation) = given else {
                stale += 1;
                continue;
            };
            claimants.retain(|claim| claim.job != *id);
            self.give_up_claim(*id, &mut step);
            let deadline = self.eligibility.deadline(*id);
            match task {
                Some(task) => self.split(job, task, true, &Arc::from(""), now, &mut step),
                None => drop(self.queue.remove(*id)),
            }
            self.eligibility.forget(own);
            if deadline.is_some() {
                self.again.entry(own).or_default().deadline = deadline;
            }
            self.grant(Queued { id: own, attempts: attempt.n, ..job }, allocation, now, &mut step);
            if let Some(array) = self.arrays.granted(own) {
                self.look_again(array, now);
            }
            started += 1;
        }
        if let Some((job, going)) = &plan.preempt
            && !self.make_room(*job, going, now, &mut step)
        {
            stale += 1;
        }
        (started, stale, step)
    }

    fn grant(&mut self, job: Queued, allocation: Allocation, now: Time, step: &mut Step) {
        let (cpus, rest) = (allocation.cpus().to_vec(), allocation.rest().to_vec());
        let outcome = transition(JobState::Pending, Fact::Granted(allocation), now);
        let Outcome::Moved(state, None) = outcome else {
            unreachable!("PENDING accepts a grant");
        };
        self.allocations += 1;
        self.rules.accounts.started(job.account, &self.requests.demand(&job), now);
        let event = self.event(
            (job.id, job.attempts),
            (Some(StateWord::Pending), StateWord::Running),
            ("granted", Arc::from("")),
            now,
        );
        let live = Live { job, state, granted: now };
        step.effects.push(Effect::Launch(live.attempt()));
        self.live.insert(job.id, live);
        step.changes.push(Change::Granted {
            event,
            cpus,
            rest,
            nonce: Arc::clone(&self.boot_context.nonce),
            boot_id: Arc::clone(&self.boot_context.boot_id),
        });
    }

    /// Takes a fact about an attempt.
    ///
    /// # Errors
    /// [`Refused::Stale`] for late, doubled or unknown ones, which are normal;
    /// [`Refused::Illegal`] for what cannot be: a bug of ours.
    pub fn fact(&mut self, attempt: Attempt, fact: Fact, now: Time) -> Result<Step, Refused> {
        self.take_fact(attempt, fact, &Arc::from(""), now)
    }

    /// Cancels jobs, waiting or live.
    pub fn cancel(
        &mut self,
        jobs: &[JobId],
        principal: &Arc<str>,
        now: Time,
    ) -> (Vec<Cancelled>, Step) {
        let mut step = Step::default();
        let outcomes = jobs.iter().map(|id| self.cancel_one(*id, principal, now, &mut step));
        (outcomes.collect(), step)
    }

    fn cancel_one(
        &mut self,
        id: JobId,
        principal: &Arc<str>,
        now: Time,
        step: &mut Step,
    ) -> Cancelled {
        let of_array = self.cancel_array(id, principal, now, step);
        of_array.unwrap_or_else(|| self.cancel_job(id, principal, now, step))
    }

    /// Cancels one job, even if an array has its name.
    pub(super) fn cancel_job(
        &mut self,
        id: JobId,
        principal: &Arc<str>,
        now: Time,
        step: &mut Step,
    ) -> Cancelled {
        if let Some(job) = self.queue.remove(id) {
            let Outcome::Moved(JobState::Finished(end), None) =
                transition(JobState::Pending, Fact::CancelAsked, now)
            else {
                unreachable!("a pending job can be cancelled");
            };
            self.eligibility.forget(id);
            self.end_pending(job, end, ("cancel_asked", Arc::clone(principal)), now, step);
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
    pub(super) fn end_pending(
        &mut self,
        job: Queued,
        end: EndState,
        cause: (&'static str, Arc<str>),
        now: Time,
        step: &mut Step,
    ) {
        let words = (Some(StateWord::Pending), end.word);
        let event = self.event((job.id, job.attempts), words, cause, now);
        *self.ended.entry(end.word).or_default() += 1;
        self.again.remove(&job.id);
        step.changes.push(Change::Ended {
            event,
            end,
            released: Released::default(),
            waited_us: None,
        });
        let over = self.told(job.id, DependencyState::Ended { completed: false }, now);
        step.effects.extend(over.map(Effect::Over));
    }

    pub(super) fn take_fact(
        &mut self,
        attempt: Attempt,
        fact: Fact,
        principal: &Arc<str>,
        now: Time,
    ) -> Result<Step, Refused> {
        match self.live.get(&attempt.job) {
            Some(live) if live.attempt() == attempt => {}
            _ => {
                self.stale_facts += 1;
                return Err(Refused::Stale);
            }
        }
        let Some(Live { job, state, granted }) = self.live.remove(&attempt.job) else {
            unreachable!("looked up above");
        };
        let from = state.word();
        let cause = fact.word();
        let heard_of_start =
            matches!(state, JobState::Running(..) | JobState::Completing(_, _, Some(_)));
        match transition(state, fact, now) {
            Outcome::Moved(state, given_back) => {
                let state = self.retry_or_finish(job.id, state, now);
                let event = self.event(
                    (job.id, job.attempts),
                    (Some(from), state.word()),
                    (cause, Arc::clone(principal)),
                    now,
                );
                let standing = match &state {
                    JobState::Finished(end) => {
                        Some(DependencyState::Ended { completed: end.word == StateWord::Completed })
                    }
                    state => state.handle().map(|_| DependencyState::Started),
                };
                let live = Live { job, state, granted };
                let mut step = self.moved(live, given_back, heard_of_start, event);
                if let Some(standing) = standing {
                    let over = self.told(job.id, standing, now);
                    step.effects.extend(over.map(Effect::Over));
                }
                Ok(step)
            }
            Outcome::Unmoved(state, _fact, why) => {
                self.live.insert(job.id, Live { job, state, granted });
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
                self.again.remove(&attempt.job);
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

    pub(super) fn event(
        &mut self,
        (job, attempt): (JobId, u32),
        (from, to): (Option<StateWord>, StateWord),
        (cause, principal): (&'static str, Arc<str>),
        time: Time,
    ) -> Event {
        let id = EventId(self.next_event);
        self.next_event += 1;
        Event { id, job, attempt, time, from, to, cause, principal }
    }

    /// The next job and event ids, which a commit makes durable.
    #[must_use]
    pub fn next_ids(&self) -> (JobId, EventId) {
        (JobId(self.next_job), EventId(self.next_event))
    }

    /// The ledger, to look at.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What jobs ask for beside CPUs.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Live attempts, by job.
    #[must_use]
    pub fn live(&self) -> &BTreeMap<JobId, Live> {
        &self.live
    }

    /// Pending jobs, in order.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }
}

fn started(event: Event, live: &Live, handle: Handle) -> Change {
    let waited_us = handle.start_time.since_us(live.job.submitted);
    Change::Started { event, handle, waited_us }
}
