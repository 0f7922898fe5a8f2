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

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::{Change, Effect, Event, Queued, Step};
use super::conditions::{Conditions, Standing};
use super::eligible::{Eligibility, Elsewhere};
use super::ids::{Attempt, CpuId, EventId, JobId};
use super::job::{JobSpec, StateWord};
use super::ledger::{Ledger, LedgerRefused};
use super::maintenance::Maintenance;
use super::policy::room::Room;
use super::policy::scene::{Running, Scene};
use super::policy::{Plan, Policy};
use super::queue::Queue;
use super::time::Time;
use super::transition::{
    EndReason, EndState, Fact, Handle, JobState, Outcome, Refused, transition,
};
use super::view::{LINE_DEPTH, Snapshot, expected_end};

/// What is fixed for one reign of a server.
#[derive(Clone, Debug)]
pub struct Reign {
    /// This boot of the machine.
    pub boot_id: Arc<str>,
    /// Random text in the engine keys of this reign's attempts.
    pub nonce: Arc<str>,
}

/// A job that has CPUs.
#[derive(Debug)]
pub struct Live {
    /// As it stood in the queue, `attempts` counting this one.
    pub job: Queued,
    /// Where it stands.
    pub state: JobState,
    /// When it was granted.
    pub granted: Time,
}

impl Live {
    /// The attempt that is live.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        Attempt { job: self.job.id, n: self.job.attempts }
    }
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

/// A live attempt as the database remembers it.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// The job; `attempts` counts this one.
    pub job: Queued,
    /// The CPUs it holds.
    pub cpus: Vec<CpuId>,
    /// When it was granted.
    pub granted: Time,
    /// Its process, once it was started.
    pub handle: Option<Handle>,
    /// Why it is being ended, if it is.
    pub completing: Option<EndReason>,
}

/// Everything that outlives a server.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Pending jobs.
    pub pending: Vec<Queued>,
    /// What pending jobs wait for, of those that wait for anything.
    pub conditions: Vec<(JobId, Conditions)>,
    /// Times in which no job may run.
    pub maintenance: Vec<Maintenance>,
    /// Attempts that hold CPUs.
    pub live: Vec<Remembered>,
    /// Ended jobs by final state.
    pub ended: BTreeMap<StateWord, u64>,
    /// The next job id.
    pub next_job: i64,
    /// The next event id.
    pub next_event: i64,
}

/// The kernel.
#[derive(Debug)]
pub struct Kernel {
    pub(super) ledger: Ledger,
    pub(super) queue: Queue,
    pub(super) live: BTreeMap<JobId, Live>,
    reign: Reign,
    pub(super) next_job: i64,
    pub(super) next_event: i64,
    pub(super) ended: BTreeMap<StateWord, u64>,
    pub(super) eligibility: Eligibility,
    pub(super) maintenance: Vec<Maintenance>,
    allocations: u64,
    releases: u64,
    stale_facts: u64,
}

impl Kernel {
    /// Takes up what the database remembers, over these CPUs.
    ///
    /// # Errors
    /// When the database says that two attempts hold one CPU.
    pub fn load(
        cpus: impl IntoIterator<Item = CpuId>,
        reign: Reign,
        memory: Memory,
    ) -> Result<Kernel, LedgerRefused> {
        let mut ledger = Ledger::new(cpus);
        let mut live = BTreeMap::new();
        for r in memory.live {
            let attempt = Attempt { job: r.job.id, n: r.job.attempts };
            let allocation = ledger.adopt(attempt, r.cpus, r.job.memory)?;
            let state = match (r.completing, r.handle) {
                (Some(why), handle) => JobState::Completing(allocation, why, handle),
                (None, Some(handle)) => JobState::Running(allocation, handle),
                (None, None) => JobState::Starting(allocation),
            };
            live.insert(r.job.id, Live { job: r.job, state, granted: r.granted });
        }
        let mut kernel = Kernel {
            ledger,
            queue: Queue::default(),
            live,
            reign,
            next_job: memory.next_job.max(1),
            next_event: memory.next_event.max(1),
            ended: memory.ended,
            eligibility: Eligibility::default(),
            maintenance: memory.maintenance,
            allocations: 0,
            releases: 0,
            stale_facts: 0,
        };
        for (job, conditions) in memory.conditions {
            kernel.register(job, conditions);
        }
        for job in memory.pending {
            // Whoever waits for a time is seen once that is looked at.
            kernel.place(job, job.submitted);
        }
        Ok(kernel)
    }

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
        elsewhere: &Elsewhere,
        principal: &Arc<str>,
        now: Time,
    ) -> (Vec<JobId>, Step) {
        let mut step = Step::default();
        let mut admitted = Vec::with_capacity(specs.len());
        let mut singletons = Vec::new();
        let any_singleton = specs.iter().any(|spec| spec.dependencies.singleton);
        for (place, spec) in specs.into_iter().enumerate() {
            let id = JobId(self.next_job);
            self.next_job += 1;
            let event = self.event(
                (id, 0),
                (None, StateWord::Pending),
                ("submitted", Arc::clone(principal)),
                now,
            );
            admitted.push(Queued::submitted(id, &spec, now));
            let conditions = self.conditions_of(&spec, elsewhere, place, &singletons);
            self.register(id, conditions);
            if any_singleton {
                singletons.push((id, Arc::clone(&spec)));
            }
            step.changes.push(Change::Submitted { event, spec });
        }
        let ids = admitted.iter().map(|q| q.id).collect();
        step.effects.push(Effect::Admit(admitted));
        (ids, step)
    }

    /// Durable submissions enter the queue.
    pub fn admit(&mut self, jobs: Vec<Queued>) {
        for job in jobs {
            self.place(job, job.submitted);
        }
    }

    /// Grants CPUs to a plan's jobs; entries that no longer fit or no longer wait are skipped.
    /// Answers how many were started and how many were stale.
    pub fn start(&mut self, plan: &Plan, now: Time) -> (u32, u32, Step) {
        let mut step = Step::default();
        let (mut started, mut stale) = (0, 0);
        for id in &plan.start {
            let shown = self.queue.is_shown(*id);
            let Some(job) = self.queue.get(*id).copied().filter(|_| shown) else {
                stale += 1;
                continue;
            };
            let attempt = Attempt { job: job.id, n: job.attempts + 1 };
            let Ok(allocation) = self.ledger.allocate(attempt, job.cpus, job.memory) else {
                stale += 1;
                continue;
            };
            self.queue.remove(*id);
            self.eligibility.forget(*id);
            self.grant(Queued { attempts: attempt.n, ..job }, allocation, now, &mut step);
            started += 1;
        }
        (started, stale, step)
    }

    fn grant(
        &mut self,
        job: Queued,
        allocation: super::allocation::Allocation,
        now: Time,
        step: &mut Step,
    ) {
        let cpus = allocation.cpus().to_vec();
        let outcome = transition(JobState::Pending, Fact::Granted(allocation), now);
        let Outcome::Moved(state, None) = outcome else {
            unreachable!("PENDING accepts a grant");
        };
        self.allocations += 1;
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
            nonce: Arc::clone(&self.reign.nonce),
            boot_id: Arc::clone(&self.reign.boot_id),
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
        step.changes.push(Change::Ended { event, end, released_cpus: 0, waited_us: None });
        self.hear(job.id, Standing::Ended { completed: false }, now);
    }

    fn take_fact(
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
                let event = self.event(
                    (job.id, job.attempts),
                    (Some(from), state.word()),
                    (cause, Arc::clone(principal)),
                    now,
                );
                let standing = match &state {
                    JobState::Finished(end) => {
                        Some(Standing::Ended { completed: end.word == StateWord::Completed })
                    }
                    state => state.handle().map(|_| Standing::Started),
                };
                let live = Live { job, state, granted };
                let step = self.moved(live, given_back, heard_of_start, event);
                if let Some(standing) = standing {
                    self.hear(job.id, standing, now);
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
        given_back: Option<super::allocation::Allocation>,
        heard_of_start: bool,
        event: Event,
    ) -> Step {
        let attempt = live.attempt();
        let mut step = Step::default();
        match &live.state {
            JobState::Pending | JobState::Starting(_) => unreachable!("no fact leads back there"),
            JobState::Running(_, handle) => {
                step.changes.push(started(event, &live, *handle));
            }
            JobState::Completing(_, _, Some(handle)) if event.cause == "started" => {
                step.changes.push(started(event, &live, *handle));
            }
            JobState::Completing(_, reason, _) => {
                step.changes.push(Change::Completing { event, reason: *reason });
                if *reason == EndReason::Cancelled {
                    step.effects.push(Effect::Stop(attempt));
                }
            }
            JobState::Finished(end) => {
                let word = end.word;
                let released_cpus = given_back.as_ref().map_or(0, |a| a.cpus().len() as u32);
                let unheard = end.handle.filter(|_| !heard_of_start);
                let waited_us = unheard.map(|h| h.start_time.since_us(live.job.submitted));
                let end = end.clone();
                step.changes.push(Change::Ended { event, end, released_cpus, waited_us });
                step.effects.push(Effect::Retire(attempt));
                *self.ended.entry(word).or_default() += 1;
            }
        }
        match given_back {
            Some(allocation) => {
                self.ledger.release(allocation);
                self.releases += 1;
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

    /// Whether a pass could start anything: something waits and something is free.
    #[must_use]
    pub fn wants_a_plan(&self) -> bool {
        self.ledger.free() > 0 && self.queue.has_candidates()
    }

    /// What a scheduling pass decides upon: of the queue what such a pass could start, and the
    /// first job that it could not.
    #[must_use]
    pub fn scene(&self, policy: &Policy, now: Time) -> Scene {
        // Memory that is not counted never runs out.
        let memory = self.ledger.free_memory().unwrap_or(u64::MAX);
        let free = Room { memory, ..Room::of(self.ledger.free()) };
        let running: Vec<Running> =
            self.live.values().map(|live| self.running(live, now)).collect();
        let mut total = running.iter().fold(free, |total, attempt| total.plus(&attempt.held));
        // More may be held than there is since a reconfiguration: that does not come back.
        total.memory = total.memory.min(self.ledger.total_memory().unwrap_or(u64::MAX));
        let windows = self.maintenance.iter().map(Maintenance::window).collect();
        let mut scene = Scene { now: now.0, free, total, running, windows, ..Scene::default() };
        scene.queue = self.queue.candidates(policy, &scene);
        scene
    }

    /// The same with the first jobs of the whole line, to explain why each waits.
    #[must_use]
    pub fn line(&self, policy: &Policy, now: Time) -> Scene {
        let mut scene = self.scene(policy, now);
        scene.queue = self.queue.line(policy, &scene, LINE_DEPTH);
        scene
    }

    fn running(&self, live: &Live, now: Time) -> Running {
        let since = live.state.handle().map_or(live.granted, |handle| handle.start_time);
        let end = expected_end(since, live.job.limit_s, now).0;
        // CPUs that are no longer configured do not come back.
        let comes_back = |cpu: &&CpuId| self.ledger.comes_back(**cpu);
        let held = live.state.allocation().map_or(Room::default(), |a| {
            let cpus = a.cpus().iter().filter(comes_back).count();
            Room { memory: a.memory(), ..Room::of(cpus as u32) }
        });
        Running { job: live.job.id, end, held }
    }

    /// "Now" as memory has it; the outbox stamps the commit that makes it true.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let completing =
            self.live.values().filter(|l| matches!(l.state, JobState::Completing(..))).count();
        let cpus = self.ledger.cpus();
        let cpus = cpus.into_iter().map(|(cpu, by)| (cpu, by.map(|a| a.job))).collect();
        Snapshot {
            total_cpus: self.ledger.total(),
            used_cpus: self.ledger.used(),
            available_cpus: self.ledger.free(),
            total_memory: self.ledger.total_memory(),
            used_memory: self.ledger.used_memory(),
            available_memory: self.ledger.free_memory(),
            cpus,
            held_back: self.ledger.held_back().iter().copied().collect(),
            pending: self.queue.len() as u64,
            running: (self.live.len() - completing) as u64,
            completing: completing as u64,
            ended: self.ended.clone(),
            allocations: self.allocations,
            releases: self.releases,
            stale_facts: self.stale_facts,
            maintenance: self.maintenance.clone(),
            ..Snapshot::default()
        }
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
