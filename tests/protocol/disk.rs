//! *Purpose*: a disk that applies commits as the store does, guards included.
//!
//! *Owns*: durable rows, the commit number, the epoch; how a commit can fail.
//!
//! *Promises*: a guard that misses panics, as it aborts the real process; on each disk image no
//! CPU is held twice and no finished job holds one.
//!
//! *Not here*: SQL (`store::write`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use downbeat::job::ids::{Attempt, CommitNo, CpuId, Epoch, JobId, UnitId};
use downbeat::job::outcome::{EndState, Handle};
use downbeat::job::request::Request;
use downbeat::job::retry_policy::RetryPolicy;
use downbeat::job::state::{EndReason, Hold, StateWord};
use downbeat::job::suspension::Suspension;
use downbeat::kernel::change::{Change, Event, PastAttempt};
use downbeat::kernel::commands::requeue::EndedJob;
use downbeat::kernel::outbox::Commit;
use downbeat::kernel::parts::queued::Queued;
use downbeat::kernel::parts::retries::{RetryProgress, RetryState};
use downbeat::kernel::parts::rules::Rules;
use downbeat::kernel::restore::{PersistedAttempt, PersistedState};
use downbeat::resources::allocation::{Held, Share};
use downbeat::resources::partitions::Partitions;
use downbeat::time::Time;

#[derive(Clone, Debug)]
pub struct Row {
    pub queued: Queued,
    /// The job's name: what the client calls it, before it has a number.
    pub name: String,
    pub state: StateWord,
    pub cpus: Vec<CpuId>,
    /// What it asks for beside CPUs, and what it got of that.
    pub request: Request,
    pub rest: Vec<Share>,
    pub granted: Time,
    pub boot: String,
    pub handle: Option<Handle>,
    pub completing: Option<EndReason>,
    pub end: Option<EndState>,
    pub retry: Option<Arc<RetryPolicy>>,
    pub retries: u32,
    /// It ended while it waited: its last attempt says nothing of that.
    pub ended_waiting: bool,
    /// How often it went back into the queue.
    pub restarts: u32,
    /// When room was made for it, while it has a claim to that.
    pub room_since: Option<Time>,
    /// Whom it has preempted since it last started.
    pub victims: BTreeSet<JobId>,
}

/// The units of these shares.
pub fn units(shares: &[Share]) -> impl Iterator<Item = (Arc<str>, UnitId)> {
    shares.iter().flat_map(|share| {
        let units = if let Held::Units(units) = &share.held { &units[..] } else { &[] };
        units.iter().map(|unit| (Arc::clone(&share.resource), *unit))
    })
}

impl Row {
    pub fn attempt(&self) -> Attempt {
        Attempt { job: self.queued.id, n: self.queued.attempts }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// Whether rules change in this world.
    pub other_rules: bool,
    pub commit_no: i64,
    pub epoch: i64,
    pub next_job: i64,
    pub next_event: i64,
    pub rows: BTreeMap<JobId, Row>,
    pub held: BTreeMap<CpuId, JobId>,
    /// Who holds which unit of another resource.
    pub units: BTreeMap<(Arc<str>, UnitId), JobId>,
    /// What the machine is divided into.
    pub partitions: Arc<Partitions>,
    /// Which job has this name.
    pub names: BTreeMap<String, JobId>,
    /// First job and count of each idempotency key.
    pub keys: BTreeMap<String, (JobId, u32)>,
    /// What the last commit ended.
    pub just_ended: Vec<JobId>,
    /// Attempts that it ended while their jobs went back into the queue.
    pub just_past: Vec<(Attempt, PastAttempt)>,
    last_event: i64,
    last_commit: Option<Commit>,
}

/// What the writer says about a commit, as `store::write::CommitError` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Durable,
    NotCommitted,
    Unknown,
}

/// How a commit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Luck {
    Fine,
    /// An error before COMMIT, and a look that finds nothing durable.
    Refused,
    /// COMMIT took place and its answer was lost; the look finds it durable.
    AnswerLost,
    /// COMMIT took place, its answer was lost, and the look failed too.
    DurableBlind,
    /// An error before COMMIT, and the look failed too.
    RefusedBlind,
}

impl Disk {
    /// What the store's writer does with a commit; `connected` is whether it has a connection
    /// whose state it knows.
    pub fn commit(&mut self, commit: &Commit, connected: &mut bool, luck: Luck) -> Told {
        self.just_ended.clear();
        self.just_past.clear();
        let blind = matches!(luck, Luck::DurableBlind | Luck::RefusedBlind);
        if !*connected {
            if blind {
                return Told::Unknown;
            }
            if self.has(commit) {
                *connected = true;
                return Told::Durable;
            }
        }
        if matches!(luck, Luck::Fine | Luck::AnswerLost | Luck::DurableBlind) {
            self.apply(commit);
        }
        *connected = !blind;
        match luck {
            Luck::Fine | Luck::AnswerLost => Told::Durable,
            Luck::Refused => Told::NotCommitted,
            Luck::DurableBlind | Luck::RefusedBlind => Told::Unknown,
        }
    }

    fn has(&self, commit: &Commit) -> bool {
        assert_eq!(commit.epoch, Epoch(self.epoch), "the fence");
        if commit.no != CommitNo(self.commit_no) {
            return false;
        }
        assert_eq!(self.last_commit.as_ref(), Some(commit), "one number names one commit");
        true
    }

    fn apply(&mut self, commit: &Commit) {
        assert_eq!(commit.epoch, Epoch(self.epoch), "the fence");
        assert_eq!(commit.no, CommitNo(self.commit_no + 1), "commits come in order");
        assert!(commit.next_job.0 >= self.next_job, "job ids rise");
        self.commit_no = commit.no.0;
        self.next_job = commit.next_job.0;
        self.next_event = commit.next_event.0;
        for change in commit.steps.iter().flat_map(|changes| changes.iter()) {
            self.change(change);
        }
        assert!(self.last_event < self.next_event, "the next event id was given out already");
        self.last_commit = Some(commit.clone());
        self.only_the_living_hold();
    }

    fn change(&mut self, change: &Change) {
        if let Some(event) = change.event() {
            assert!(event.id.0 > self.last_event, "event ids rise");
            self.last_event = event.id.0;
            if let Some(from) = event.from {
                assert_eq!(self.row(event).state, from, "guard of job {}", event.job);
            }
        }
        match change {
            Change::Asked(_) | Change::TokenMade(_) | Change::TokensRevoked(_) => {}
            Change::Key(key) => {
                let named = (key.first, key.count);
                let before = self.keys.insert(key.key.to_string(), named);
                assert!(before.is_none(), "key {} is stored twice", key.key);
            }
            Change::Submitted { event, spec } => {
                assert!(event.job.0 < self.next_job, "job {} is a future id", event.job);
                let queued = Queued {
                    id: event.job,
                    cpus: spec.cpus,
                    limit_s: spec.limit_s,
                    priority: spec.priority,
                    submitted: event.time,
                    placement: self.partitions.placement(&spec.partition),
                    ..Queued::default()
                };
                self.insert(queued, spec.name.clone());
                let row = self.row(event);
                row.retry.clone_from(&spec.retry);
                row.request = spec.beside_cpus();
            }
            Change::Granted { event, cpus, rest, boot_id, .. } => {
                let row = self.row(event);
                row.state = event.to;
                row.cpus.clone_from(cpus);
                row.rest.clone_from(rest);
                row.granted = event.time;
                row.boot = boot_id.to_string();
                assert_eq!(event.attempt, row.queued.attempts + 1, "attempts are counted");
                row.queued.attempts = event.attempt;
                row.victims.clear();
                for cpu in cpus {
                    let before = self.held.insert(*cpu, event.job);
                    assert_eq!(before, None, "CPU {cpu} is held twice on disk");
                }
                for unit in units(rest) {
                    let before = self.units.insert(unit.clone(), event.job);
                    assert_eq!(before, None, "{unit:?} is held twice on disk");
                }
            }
            Change::Started { event, handle, .. } => {
                let row = self.row(event);
                row.state = event.to;
                row.handle = Some(*handle);
            }
            Change::Completing { event, reason } => {
                if *reason == EndReason::Preempted {
                    self.preempt(event);
                }
                let row = self.row(event);
                row.state = event.to;
                row.completing = Some(*reason);
            }
            Change::Ended { event, end, released, .. } => {
                let row = self.row(event);
                let cpus = std::mem::take(&mut row.cpus);
                let others = std::mem::take(&mut row.rest);
                assert_eq!(cpus.len(), released.cpus as usize, "released what was held");
                let held = cpus.len() + units(&others).count();
                assert_eq!(held, released.units as usize, "released what was held");
                row.state = event.to;
                row.end = Some(end.clone());
                row.ended_waiting = released.cpus == 0;
                for cpu in cpus {
                    assert_eq!(self.held.remove(&cpu), Some(event.job), "held by another");
                }
                self.units.retain(|_, job| *job != event.job);
                self.just_ended.push(event.job);
            }
            Change::Split { event, array, left, .. } => {
                let rest = &self.rows[array];
                assert_eq!(rest.state, StateWord::Pending, "what is left of {array} waits");
                assert_eq!(event.job == *array, left.tasks.is_empty(), "the last takes it over");
                if event.job != *array {
                    let queued = Queued { id: event.job, ..rest.queued };
                    let (name, request) = (rest.name.clone(), rest.request.clone());
                    self.insert(queued, format!("{name} task {}", event.job));
                    self.row(event).request = request;
                }
            }
            Change::Requeued { event, past, retries, .. } => self.requeue(event, past, *retries),
            Change::Claimed { job, since } => {
                let row = self.rows.get_mut(job);
                row.unwrap_or_else(|| panic!("job {job} claims room")).room_since = *since;
            }
            Change::Told { job, .. } => panic!("job {job} waits for nobody"),
            // No audit, no retention, no maintenance, no edits, no signals, no steps and no samples
            // here.
            Change::Edited { .. }
            | Change::Signalled { .. }
            | Change::Suspended { .. }
            | Change::StepNoted { .. }
            | Change::Maintained(_)
            | Change::Resumed(_)
            | Change::Charged { .. }
            | Change::Reclaimed { .. }
            | Change::Restored { .. }
            | Change::Sampled(_)
            | Change::UsageKept { .. }
            | Change::Forgotten { .. } => {
                panic!("{change:?}")
            }
        }
    }

    /// Nobody is preempted twice by one that waits, unless the rules became others meanwhile.
    fn preempt(&mut self, event: &Event) {
        let whom =
            event.principal.name.strip_prefix("preempted for job ").and_then(|id| id.parse().ok());
        let whom = JobId(whom.unwrap_or_else(|| panic!("{:?} preempts", event.principal)));
        let row = self.rows.get_mut(&whom).filter(|row| row.state == StateWord::Pending);
        let row = row.unwrap_or_else(|| panic!("job {whom} preempts and does not wait"));
        let new = row.victims.insert(event.job);
        assert!(new || self.other_rules, "job {} is preempted for job {whom} again", event.job);
    }

    fn requeue(&mut self, event: &Event, past: &Option<PastAttempt>, retries: u32) {
        let row = self.row(event);
        let (attempt, cpus) = (row.attempt(), std::mem::take(&mut row.cpus));
        row.rest.clear();
        let released = past.as_ref().map_or(0, |past| past.released.cpus);
        assert_eq!(cpus.len(), released as usize, "released what was held");
        assert_eq!(row.end.is_some(), past.is_none(), "it was over, or its attempt is");
        assert_eq!(event.attempt, attempt.n, "the attempt that is over");
        (row.state, row.end, row.handle, row.completing) = (event.to, None, None, None);
        (row.retries, row.restarts, row.room_since) = (retries, row.restarts + 1, None);
        row.victims.clear();
        for cpu in cpus {
            assert_eq!(self.held.remove(&cpu), Some(event.job), "held by another");
        }
        self.units.retain(|_, job| *job != event.job);
        self.just_past.extend(past.clone().map(|past| (attempt, past)));
    }

    /// The job as a reader finds it, if it is over.
    pub fn over(&self, job: JobId) -> Option<EndedJob> {
        let row = self.rows.get(&job).filter(|row| row.state.is_final())?;
        Some(EndedJob {
            job: row.queued,
            rest: row.request.clone(),
            word: row.state,
            held: Hold::No,
            begin: None,
            deadline: None,
            retry: row.retry.clone(),
            partition: self.partition_of(row),
            account: String::new(),
            user: String::new(),
            task: None,
        })
    }

    fn partition_of(&self, row: &Row) -> String {
        let partition = self.partitions.at(row.queued.placement.partition);
        partition.map(|one| one.name.to_string()).unwrap_or_default()
    }

    fn row(&mut self, event: &Event) -> &mut Row {
        let row = self.rows.get_mut(&event.job);
        row.unwrap_or_else(|| panic!("{} of job {}, which is no row", event.cause, event.job))
    }

    fn insert(&mut self, queued: Queued, name: String) {
        let before = self.names.insert(name.clone(), queued.id);
        assert_eq!(before, None, "{name} was stored twice");
        let row = Row {
            queued,
            name,
            state: StateWord::Pending,
            cpus: Vec::new(),
            request: Request::default(),
            rest: Vec::new(),
            granted: Time(0),
            boot: String::new(),
            handle: None,
            completing: None,
            end: None,
            retry: None,
            retries: 0,
            ended_waiting: false,
            restarts: 0,
            room_since: None,
            victims: BTreeSet::new(),
        };
        assert!(self.rows.insert(queued.id, row).is_none(), "ids are never reused");
    }

    fn only_the_living_hold(&self) {
        for (cpu, job) in &self.held {
            let row = &self.rows[job];
            assert!(!row.state.is_final(), "job {job} has ended and holds CPU {cpu} on disk");
            assert!(row.cpus.contains(cpu), "CPU {cpu} is held by {job}, whose row denies it");
        }
    }

    /// What a new server reads; it takes the next epoch.
    pub fn boot(&mut self) -> PersistedState {
        self.epoch += 1;
        self.just_ended.clear();
        self.just_past.clear();
        let mut memory = PersistedState {
            next_job: self.next_job,
            next_event: self.next_event,
            ..PersistedState::default()
        };
        memory.rules = Rules { partitions: Arc::clone(&self.partitions), ..Rules::default() };
        for row in self.rows.values() {
            let names = memory.names.number(&self.partition_of(row), "", "");
            let rest = memory.requests.number(&row.request);
            let queued = Queued { names, rest, ..row.queued };
            if let Some(policy) = row.retry.clone().filter(|_| !row.state.is_final()) {
                let retry = Some(RetryProgress { policy, used: row.retries });
                memory.retries.push((row.queued.id, RetryState { retry, deadline: None }));
            }
            match row.state {
                StateWord::Pending => {
                    memory.pending.push(queued);
                    memory.claims.extend(row.room_since.map(|time| (time, row.queued.id)));
                }
                state if state.is_final() => *memory.ended.entry(state).or_default() += 1,
                _ => memory.live.push(PersistedAttempt {
                    job: queued,
                    cpus: row.cpus.clone(),
                    rest: row.rest.clone(),
                    granted: row.granted,
                    handle: row.handle,
                    completing: row.completing,
                    suspension: Suspension::default(),
                    signals: Vec::new(),
                }),
            }
        }
        memory
    }

    /// The attempt's row, if it is live on disk.
    pub fn live(&self, attempt: Attempt) -> Option<&Row> {
        self.rows.get(&attempt.job).filter(|r| r.attempt() == attempt && !r.cpus.is_empty())
    }

    pub fn pending(&self) -> usize {
        self.rows.values().filter(|r| r.state == StateWord::Pending).count()
    }
}
