//! *Purpose*: a server without actors: kernel and outbox wired as `actors::resource_manager`
//! wires them.
//!
//! *Owns*: what dies with the server: kernel, outbox, executors, messages under way, the commit
//! in flight, the snapshot.
//!
//! *Promises*: publish, then cause, then answer, and a crash may come between any two of these;
//! after an unknown outcome nobody is told anything.
//!
//! *Not here*: mailboxes and timers (`tests/actors.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use downbeat::job::ids::{Attempt, CommitNo, CpuId, Epoch, JobId, UnitId};
use downbeat::job::spec::JobSpec;
use downbeat::job::state::Hold;
use downbeat::kernel::change::{Change, Effect, IdempotencyKey, Step};
use downbeat::kernel::commands::cancel::Cancelled;
use downbeat::kernel::commands::requeue::{EndedJob, Requeued};
use downbeat::kernel::outbox::{Commit, Committed, Outbox, ReadFreshness};
use downbeat::kernel::parts::eligibility::DependencySnapshot;
use downbeat::kernel::parts::names::{Names, UNNAMED};
use downbeat::kernel::parts::rules::Rules;
use downbeat::kernel::restore::PersistedState;
use downbeat::kernel::state::{BootContext, Kernel};
use downbeat::kernel::testing::{KernelBuilder, partition};
use downbeat::kernel::transition::Refused;
use downbeat::kernel::views::snapshot::Snapshot;
use downbeat::policy::name::Policy;
use downbeat::policy::order::Order;
use downbeat::policy::pass::plan;
use downbeat::policy::plan::Plan;
use downbeat::resources::inventory::{Inventory, Resource, Stock};
use downbeat::resources::partitions::{Partition, Partitions};
use downbeat::time::Time;

use super::disk::{Disk, Luck, Told};
use super::engine::Engine;
use super::executor::{Circumstances, Executor, News};

/// What a client asks for, and the name of its key if it has one.
#[derive(Clone, Debug)]
pub struct Submission {
    pub specs: Vec<Arc<JobSpec>>,
    /// The key, and the commit at which the client's reader did not find it.
    pub key: Option<(String, CommitNo)>,
}

impl Submission {
    /// The jobs' names.
    pub fn names(&self) -> Vec<String> {
        self.specs.iter().map(|spec| spec.name.clone()).collect()
    }
}

#[derive(Clone, Debug)]
pub enum Ticket {
    Submitted(Vec<String>, Vec<JobId>),
    Cancelled(JobId, Cancelled),
    /// Of which attempt, and what became of it.
    Requeued(Attempt, Requeued),
    Heard(Attempt, bool),
    Planned,
}

/// What clients hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Submitted(Vec<String>, Vec<JobId>),
    NothingStored(Vec<String>),
    LookAgain(Vec<String>),
    Cancelled(JobId, Cancelled),
    /// Of which attempt, and what became of it; `None`: the row may have changed.
    Requeued(Attempt, Option<Requeued>),
}

/// Where the commit in flight is.
#[derive(Clone, Debug, Default)]
pub enum Flight {
    #[default]
    None,
    /// With the writer.
    Sent(Commit),
    /// The writer has acted, its answer is on its way.
    Answered(Commit, Told),
    /// It failed and will be sent again; `None`: what is left of it, with what came since.
    Pausing(Option<Commit>),
}

/// A crash within the handling of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    BeforeEffects,
    AmongEffects,
    BeforeReplies,
    AmongReplies,
}

pub struct Server {
    pub kernel: Kernel,
    pub outbox: Outbox<Ticket>,
    pub executors: BTreeMap<Attempt, Executor>,
    pub mail: Vec<(Attempt, News)>,
    pub flight: Flight,
    pub plan: Option<Plan>,
    pub snapshot: Snapshot,
    /// The last commit failed and is being tried again.
    pub trouble: bool,
    /// Stops that are durable and found no executor.
    owed_stops: BTreeSet<Attempt>,
    connected: bool,
    cpus: u32,
    boot_id: String,
}

impl Clone for Server {
    /// A second server in the same state. The kernel cannot be cloned, since allocations cannot:
    /// it is loaded anew from what it holds, as at boot.
    fn clone(&self) -> Server {
        let mut same = kernel(self.cpus, &self.boot_id, memory(&self.kernel));
        same.set_unstored(self.kernel.unstored());
        Server {
            kernel: same,
            outbox: self.outbox.clone(),
            executors: self.executors.clone(),
            mail: self.mail.clone(),
            flight: self.flight.clone(),
            plan: self.plan.clone(),
            snapshot: self.snapshot.clone(),
            trouble: self.trouble,
            owed_stops: self.owed_stops.clone(),
            connected: self.connected,
            cpus: self.cpus,
            boot_id: self.boot_id.clone(),
        }
    }
}

/// Memory of the machine, bytes: as small as amounts need to be.
pub const MEMORY: u64 = 10;

fn kernel(cpus: u32, boot_id: &str, memory: PersistedState) -> Kernel {
    let boot_context = BootContext { boot_id: boot_id.into(), nonce: "nonce".into() };
    let kernel = KernelBuilder::of(memory).inventory(inventory(cpus));
    kernel.boot_context(boot_context).build()
}

/// So many CPUs, a little memory, GPUs of two types, and licences.
pub fn inventory(cpus: u32) -> Inventory {
    let gpus = [(0, Some("a")), (1, Some("b")), (2, None)];
    let gpus = gpus.map(|(n, kind)| (UnitId(n), kind.map(Arc::from)));
    let more = [
        Resource { name: "gpu".into(), stock: Stock::Units(gpus.into()) },
        Resource { name: "license/m".into(), stock: Stock::Amount(Some(2)) },
    ];
    let all = Inventory::of((0..cpus).map(CpuId), Some(MEMORY)).and(more);
    all.unwrap_or_else(|refused| panic!("{refused}"))
}

/// Two partitions of the whole machine: jobs of `urgent` preempt those of `batch`.
pub fn divided(cpus: u32) -> Arc<Partitions> {
    let one = |name, preempts| Partition { preempts, ..partition(name, 0..cpus) };
    let both = Partitions::new(vec![one("batch", 0), one("urgent", 1)], 0);
    Arc::new(both.unwrap_or_else(|refused| panic!("{refused}")))
}

/// All that a kernel holds but the numbers of words, which are its own.
pub fn memory(kernel: &Kernel) -> PersistedState {
    let mut memory = kernel.remembered(Time(0));
    memory.names = Names::default();
    let live = memory.live.iter_mut().map(|live| &mut live.job);
    live.chain(&mut memory.pending).for_each(|job| job.names = UNNAMED);
    memory
}

impl Server {
    /// A new server takes up what the disk remembers.
    pub fn boot(cpus: u32, disk: &mut Disk, engine: &Engine) -> Server {
        let (memory, boot_id) = (disk.boot(), engine.boot_id());
        let kernel = kernel(cpus, &boot_id, memory);
        let snapshot = Snapshot { commit_no: CommitNo(disk.commit_no), ..kernel.snapshot() };
        let owed = kernel.live().values().filter(|live| live.state.is_told_to_stop());
        Server {
            owed_stops: owed.map(|live| live.attempt()).collect(),
            kernel,
            outbox: Outbox::new(Epoch(disk.epoch), CommitNo(disk.commit_no)),
            executors: BTreeMap::new(),
            mail: Vec::new(),
            flight: Flight::None,
            plan: None,
            snapshot,
            trouble: false,
            connected: true,
            cpus,
            boot_id,
        }
    }

    /// Answers at once, or when it is durable.
    pub fn submit(&mut self, asked: Submission, now: Time) -> Option<Reply> {
        let names = asked.names();
        if let Some((key, read_at)) = &asked.key
            && self.outbox.check_key(key, *read_at) != ReadFreshness::Fresh
        {
            return Some(Reply::LookAgain(names));
        }
        if self.trouble {
            return Some(Reply::NothingStored(names));
        }
        let (ids, mut step) =
            self.kernel.submit(asked.specs, &DependencySnapshot::default(), &"test".into(), now);
        if let (Some((key, _)), Some(first)) = (asked.key, ids.first()) {
            let (first, count) = (*first, ids.len() as u32);
            let (key, body_hash) = (key.into(), "".into());
            let key = IdempotencyKey { key, body_hash, first, count, time: now };
            step.changes.push(Change::Key(key));
        }
        self.outbox.push(step, true, Ticket::Submitted(names, ids));
        None
    }

    /// Answers at once, or when it is durable.
    pub fn cancel(&mut self, job: JobId, now: Time) -> Option<Reply> {
        let (outcomes, step) = self.kernel.cancel(&[job], &"test".into(), now);
        let ticket = self.put(step, Ticket::Cancelled(job, outcomes[0]))?;
        self.reply(ticket, None)
    }

    /// Answers at once, or when it is durable. `over` is the job as a reader found it at a commit.
    pub fn requeue(
        &mut self,
        job: JobId,
        over: Option<(EndedJob, CommitNo)>,
        now: Time,
    ) -> Option<Reply> {
        let queued = self.kernel.queue().get(job).map(|queued| queued.attempts);
        let n = queued.or_else(|| Some(self.kernel.live().get(&job)?.job.attempts));
        let attempt = Attempt { job, n: n.unwrap_or(0) };
        if let Some((_, read_at)) = &over
            && n.is_none()
            && self.outbox.check_over(job, *read_at) != ReadFreshness::Fresh
        {
            return Some(Reply::Requeued(attempt, None));
        }
        let (requeued, step) = match over {
            Some((over, _)) => self.kernel.requeue_over(over, Hold::No, &"test".into(), now),
            None => self.kernel.requeue_asked(job, Hold::No, &"test".into(), now),
        };
        let ticket = self.put(step, Ticket::Requeued(attempt, requeued))?;
        self.reply(ticket, None)
    }

    /// A step without changes is answered with what was decided before it.
    fn put(&mut self, step: Step, ticket: Ticket) -> Option<Ticket> {
        if step.changes.is_empty() {
            return self.outbox.follow(ticket);
        }
        self.outbox.push(step, false, ticket);
        None
    }

    /// The scheduler looks and thinks, in submit order, so that nobody may starve; its plan arrives
    /// later.
    pub fn think(&mut self, now: Time) {
        let policy = Policy { order: Order::Fcfs, threshold_s: None, ..Policy::default() };
        self.plan = Some(plan(policy, &self.kernel.input(&policy, now)));
    }

    /// A plan arrives, made when it was. Answers how many entries were stale.
    pub fn apply_plan(&mut self, plan: &Plan, now: Time) -> (u32, u32) {
        let (started, stale, step) = self.kernel.start(plan, now);
        if !step.changes.is_empty() {
            self.outbox.push(step, false, Ticket::Planned);
        }
        (started, stale)
    }

    /// Other rules hold from now on.
    pub fn reconfigure(&mut self, rules: Rules, now: Time) {
        let step = self.kernel.reconfigure(rules, now).unwrap_or_else(|why| panic!("{why}"));
        if !step.changes.is_empty() {
            self.outbox.push(step, false, Ticket::Planned);
        }
    }

    /// What waits leaves for the writer. Answers how many steps that were.
    pub fn flush(&mut self) -> usize {
        if !matches!(self.flight, Flight::None) {
            return 0;
        }
        match self.outbox.take(&self.kernel) {
            Some(commit) => {
                let steps = commit.steps.len();
                self.flight = Flight::Sent(commit);
                steps
            }
            None => 0,
        }
    }

    /// The writer acts on the commit that it has.
    pub fn write(&mut self, disk: &mut Disk, luck: Luck) -> Option<Told> {
        let Flight::Sent(commit) = &self.flight else { return None };
        let told = disk.commit(commit, &mut self.connected, luck);
        self.flight = Flight::Answered(commit.clone(), told);
        Some(told)
    }

    /// The pause after a failure is over.
    pub fn send_again(&mut self) {
        match std::mem::take(&mut self.flight) {
            Flight::Pausing(Some(commit)) => self.flight = Flight::Sent(commit),
            Flight::Pausing(None) => {
                self.outbox.try_again();
                self.flush();
            }
            other => self.flight = other,
        }
    }

    /// The writer's answer arrives. With `cut`, the server dies after so many effects and
    /// replies, and `Err` says where that was.
    pub fn answer(
        &mut self,
        disk: &Disk,
        engine: &mut Engine,
        cut: Option<usize>,
        now: Time,
    ) -> Result<Vec<Reply>, (Edge, Vec<Reply>)> {
        let (commit, told) = match std::mem::take(&mut self.flight) {
            Flight::Answered(commit, told) => (commit, told),
            other => {
                self.flight = other;
                return Ok(Vec::new());
            }
        };
        match told {
            Told::Durable => self.settle(commit.no, disk, engine, cut),
            // Nobody may be told anything before it is known.
            Told::Unknown => {
                self.trouble = true;
                self.flight = Flight::Pausing(Some(commit));
                Ok(Vec::new())
            }
            Told::NotCommitted => {
                let dropped = self.outbox.give_up_submissions(commit.no);
                self.kernel.withdraw(&dropped.withdrawn, now);
                self.trouble = self.outbox.is_refused();
                self.flight = if self.trouble { Flight::Pausing(None) } else { Flight::None };
                let refuse = |ticket| match ticket {
                    Ticket::Submitted(names, _) => Some(Reply::NothingStored(names)),
                    Ticket::Planned => None,
                    other => panic!("{other:?} was given up"),
                };
                Ok(dropped.tickets.into_iter().filter_map(refuse).collect())
            }
        }
    }

    fn settle(
        &mut self,
        no: CommitNo,
        disk: &Disk,
        engine: &mut Engine,
        cut: Option<usize>,
    ) -> Result<Vec<Reply>, (Edge, Vec<Reply>)> {
        self.trouble = false;
        let Committed { snapshot, effects, tickets, .. } = self.outbox.settle(no);
        the_snapshot_is_the_disks_truth(&snapshot, disk);
        self.snapshot = snapshot;
        let (all_effects, all) = (effects.len(), effects.len() + tickets.len());
        let mut replies = Vec::new();
        let mut acts = effects.into_iter().map(Ok).chain(tickets.into_iter().map(Err));
        for done in 0..all {
            if cut == Some(done) {
                let edge = match done {
                    0 => Edge::BeforeEffects,
                    d if d < all_effects => Edge::AmongEffects,
                    d if d == all_effects => Edge::BeforeReplies,
                    _ => Edge::AmongReplies,
                };
                return Err((edge, replies));
            }
            match acts.next() {
                Some(Ok(effect)) => self.cause(effect, disk),
                Some(Err(ticket)) => replies.extend(self.reply(ticket, Some(engine))),
                None => {}
            }
        }
        Ok(replies)
    }

    fn cause(&mut self, effect: Effect, disk: &Disk) {
        match effect {
            Effect::Stored(jobs) => {
                assert!(jobs.iter().all(|job| disk.rows.contains_key(job)), "heard of unstored");
                self.kernel.stored(&jobs);
            }
            Effect::Admit(jobs) => {
                assert!(jobs.iter().all(|q| disk.rows.contains_key(&q.id)), "admitted unstored");
                self.kernel.admit(jobs);
            }
            Effect::Launch(attempt) => {
                assert!(disk.live(attempt).is_some(), "{attempt} is launched before its commit");
                let before = self.executors.insert(attempt, Executor::new(true, false));
                assert_eq!(before, None, "{attempt} is launched beside its executor");
            }
            Effect::Stop(attempt) => match self.executors.get_mut(&attempt) {
                Some(executor) => (executor.stop, executor.awake) = (true, true),
                None => drop(self.owed_stops.insert(attempt)),
            },
            Effect::Retire(attempt) => {
                assert!(disk.live(attempt).is_none(), "{attempt} retires before its commit");
                if let Some(executor) = self.executors.get_mut(&attempt) {
                    executor.retired = true;
                }
            }
            Effect::Adjust(attempt) => panic!("nobody edits {attempt} here"),
            Effect::Signal(attempt) => panic!("nobody signals {attempt} here"),
            Effect::Over(array) => {
                assert!(self.kernel.arrays().iter().all(|(id, _)| id != array), "{array} is open");
            }
        }
    }

    /// What a ticket's owner does with the answer; without an engine, it came at once.
    fn reply(&mut self, ticket: Ticket, engine: Option<&mut Engine>) -> Option<Reply> {
        match ticket {
            Ticket::Submitted(names, ids) => Some(Reply::Submitted(names, ids)),
            Ticket::Cancelled(job, outcome) => Some(Reply::Cancelled(job, outcome)),
            Ticket::Requeued(attempt, outcome) => Some(Reply::Requeued(attempt, Some(outcome))),
            Ticket::Planned => None,
            Ticket::Heard(attempt, last) => {
                if last {
                    self.executors.remove(&attempt);
                    if let Some(engine) = engine {
                        engine.forget(attempt);
                    }
                } else if let Some(executor) = self.executors.get_mut(&attempt) {
                    executor.telling = false;
                }
                None
            }
        }
    }

    /// An executor takes a step.
    pub fn follow(
        &mut self,
        attempt: Attempt,
        disk: &Disk,
        engine: &mut Engine,
        given: Circumstances,
    ) {
        let Some(executor) = self.executors.get_mut(&attempt) else { return };
        if executor.can_step(engine)
            && let Some(news) = executor.step(attempt, disk, engine, given)
        {
            self.mail.push((attempt, news));
        }
    }

    /// A message of an executor arrives; a copy of it may stay under way. Answers whether it
    /// was stale.
    pub fn hear(&mut self, i: usize, doubled: bool, engine: &mut Engine, now: Time) -> bool {
        let (attempt, news) = match doubled {
            true => self.mail[i].clone(),
            false => self.mail.swap_remove(i),
        };
        let ticket = Ticket::Heard(attempt, news.is_last());
        let (step, stale) = match self.kernel.fact(attempt, news.fact(), now) {
            Ok(step) => (step, false),
            Err(Refused::Stale) => (Step::default(), true),
            Err(Refused::Illegal) => panic!("{news:?} of {attempt} is illegal"),
        };
        if let Some(ticket) = self.put(step, ticket) {
            self.reply(ticket, Some(engine));
        }
        stale
    }

    /// A message is lost; its sender waits until it looks again.
    pub fn lose_mail(&mut self, i: usize) {
        let (attempt, _) = self.mail.swap_remove(i);
        if let Some(executor) = self.executors.get_mut(&attempt) {
            executor.telling = false;
        }
    }

    /// The sweep: every live attempt is followed and looks. Answers how many were adopted.
    pub fn sweep(&mut self) -> usize {
        let live: Vec<Attempt> = self.kernel.live().values().map(|live| live.attempt()).collect();
        let mut adopted = 0;
        for attempt in live {
            if let Some(executor) = self.executors.get_mut(&attempt) {
                executor.awake = true;
            } else if self.is_durable(attempt) {
                let stop = self.owed_stops.remove(&attempt);
                self.executors.insert(attempt, Executor::new(false, stop));
                adopted += 1;
            }
        }
        adopted
    }

    /// Whether the sweep would adopt an attempt.
    pub fn would_adopt(&self) -> bool {
        let mut live = self.kernel.live().values().map(|live| live.attempt());
        live.any(|a| !self.executors.contains_key(&a) && self.is_durable(a))
    }

    /// Whether the grant is durable; else the executor comes with the commit.
    fn is_durable(&self, attempt: Attempt) -> bool {
        let grants = |change: &Change| match change {
            Change::Granted { event, .. } => (event.job, event.attempt) == (attempt.job, attempt.n),
            _ => false,
        };
        !self.outbox.steps().any(|(changes, _)| changes.iter().any(grants))
    }

    /// Whether nothing is owed to anyone.
    pub fn is_at_rest(&self) -> bool {
        self.kernel.queue().is_empty()
            && self.kernel.live().is_empty()
            && self.outbox.is_idle()
            && matches!(self.flight, Flight::None)
            && self.executors.values().all(|e| e.retired)
    }
}

fn the_snapshot_is_the_disks_truth(snapshot: &Snapshot, disk: &Disk) {
    assert_eq!(snapshot.commit_no.0, disk.commit_no, "the snapshot names its commit");
    assert_eq!(snapshot.pending, disk.pending() as u64, "pending in the snapshot and on disk");
    let holders: BTreeMap<CpuId, JobId> =
        snapshot.cpus.iter().filter_map(|(cpu, job)| Some((*cpu, (*job)?))).collect();
    assert_eq!(holders, disk.held, "holders in the snapshot and on disk");
    let others = snapshot.others.iter().flat_map(|one| {
        let held = one.units.iter().filter_map(|unit| Some((unit.unit, unit.holder?.job)));
        held.map(|(unit, job)| ((Arc::clone(&one.name), unit), job))
    });
    assert_eq!(others.collect::<BTreeMap<_, _>>(), disk.units, "units in both");
}
