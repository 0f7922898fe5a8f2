//! *Purpose*: what others may see of the kernel.
//!
//! *Owns*: how jobs and attempts look to planning, the input of a pass, and [`Snapshot`] for
//! answers.
//!
//! *Promises*: an unlimited job is planned to last 366 days, an overdue one to end a second from
//! now, so there is always a reservation; a snapshot shows exactly what the commit it names made
//! durable.
//!
//! *Not here*: history (`store::read`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::job::ids::{CommitNo, CpuId, EventId, JobId};
use crate::job::state::StateWord;
use crate::kernel::kernel::Kernel;
use crate::kernel::parts::accounts::Account;
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::parts::live::Live;
use crate::kernel::parts::maintenance::Maintenance;
use crate::kernel::parts::queue::pending::request_us;
use crate::kernel::tenancy::PartitionNow;
use crate::kernel::transition::JobState;
use crate::policy::claims::keep;
use crate::policy::input::{PassInput, Preemptable, Running};
use crate::policy::name::Policy;
use crate::resources::capacity::Capacity;
use crate::resources::ledger::ResourceNow;
use crate::time::Time;

/// How many jobs of the line are looked at to explain why they wait: a page of a list.
pub const LINE_DEPTH: usize = 1_000;
/// When an overdue job is expected to end, seconds from now.
pub const OVERDUE_S: i64 = 1;

/// When an attempt that was granted or spawned `since` gives its CPUs back at the latest, as far
/// as planning goes.
#[must_use]
pub fn expected_end(since: Time, limit_s: Option<u32>, now: Time) -> Time {
    let end = Time(since.0.saturating_add(request_us(limit_s)));
    if end <= now { now.plus_s(OVERDUE_S) } else { end }
}

/// What is known about why jobs wait.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explained {
    /// Those that may not start whatever is free.
    pub blocked: BTreeMap<JobId, Blocked>,
    /// The first of the line.
    pub line: PassInput,
    /// The place of the only job that was asked for, if it is further behind.
    pub position: Option<usize>,
    /// How the partitions stand; empty where the machine is not divided.
    pub partitions: Vec<PartitionNow>,
    /// The place among them of the partition of each that was asked for.
    pub placements: BTreeMap<JobId, u8>,
    /// The accounts that the first quotas of the line are of; empty where nobody is limited.
    pub accounts: Vec<Account>,
}

/// "Now", as of one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit that made it true.
    pub commit_no: CommitNo,
    /// The last event of that commit.
    pub last_event: EventId,
    /// CPUs configured.
    pub total_cpus: u32,
    /// CPUs held.
    pub used_cpus: u32,
    /// CPUs that can be handed out.
    pub available_cpus: u32,
    /// Bytes of memory to hand out; `None`: not counted.
    pub total_memory: Option<u64>,
    /// Bytes of memory that are held.
    pub used_memory: u64,
    /// Bytes of memory that can be handed out; `None`: not counted.
    pub available_memory: Option<u64>,
    /// How everything stands that is neither CPUs nor memory.
    pub others: Vec<ResourceNow>,
    /// Every CPU and who holds it.
    pub cpus: Vec<(CpuId, Option<JobId>)>,
    /// CPUs that are not handed out because an audit doubts that they are free.
    pub held_back: Vec<CpuId>,
    /// Pending jobs; of each array one.
    pub pending: u64,
    /// Tasks of arrays that are pending beyond these.
    pub further_tasks: u64,
    /// Attempts ordered or running.
    pub running: u64,
    /// Attempts being ended.
    pub completing: u64,
    /// Jobs that ended, by final state, over all time that the database remembers.
    pub ended: BTreeMap<StateWord, u64>,
    /// Allocations since this server started.
    pub allocations: u64,
    /// Releases since this server started.
    pub releases: u64,
    /// Facts that came late or twice since this server started.
    pub stale_facts: u64,
    /// Times in which no job may run.
    pub maintenance: Vec<Maintenance>,
}

impl Snapshot {
    /// Jobs in this state.
    #[must_use]
    pub fn count(&self, state: StateWord) -> u64 {
        match state {
            StateWord::Pending => self.pending + self.further_tasks,
            StateWord::Running => self.running,
            StateWord::Completing => self.completing,
            ended => self.ended.get(&ended).copied().unwrap_or(0),
        }
    }

    /// Held CPUs in percent of those configured.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        if self.total_cpus == 0 {
            return 0.0;
        }
        f64::from(self.used_cpus) * 100.0 / f64::from(self.total_cpus)
    }
}

impl Kernel {
    /// Whether a pass could start anything: something waits, and something is free or can be had.
    #[must_use]
    pub fn wants_a_plan(&self) -> bool {
        self.queue.has_candidates() && (self.ledger.free() > 0 || self.may_preempt())
    }

    /// What a scheduling pass decides upon: of the queue what such a pass could start, and the
    /// first job that it could not.
    #[must_use]
    pub fn input(&self, policy: &Policy, now: Time) -> PassInput {
        let mut input = self.ground(now);
        input.queue = match input.claims.is_empty() {
            true => self.queue.candidates(policy, &input, &self.rules.points(now)),
            false => self.queue.candidates(policy, &keep(&input).rest, &self.rules.points(now)),
        };
        if !input.preemptable.is_empty() {
            input.queue.iter_mut().for_each(|job| job.preempts = self.preempts(job.job));
        }
        input
    }

    /// An input without those who wait for their turn.
    pub(super) fn ground(&self, now: Time) -> PassInput {
        let free = self.ledger.free_room();
        let running: Vec<Running> =
            self.live.values().map(|live| self.running(live, now)).collect();
        let mut total = running.iter().fold(free, |total, attempt| total.plus(&attempt.held));
        // More may be held than there is since a reconfiguration: that does not come back.
        total = total.least(&self.ledger.at_most());
        let windows = self.maintenance.all().iter().map(Maintenance::window).collect();
        let quotas = self.rules.accounts.quotas();
        let queue = Vec::new();
        let (preemptable, claims) = (self.preemptable(), self.claims_now(now));
        let now = now.0;
        let requests = Arc::clone(self.requests.parts());
        let free = free.minus(&self.unlooked(Time(now)));
        PassInput {
            now,
            free,
            total,
            running,
            queue,
            claims,
            requests,
            quotas,
            windows,
            preemptable,
        }
    }

    /// The same with the first jobs of the whole line, to explain why each waits; before them stand
    /// those that room was made for.
    #[must_use]
    pub fn line(&self, policy: &Policy, now: Time) -> PassInput {
        let mut input = self.ground(now);
        let line = self.queue.line(policy, &input, &self.rules.points(now), LINE_DEPTH);
        input.queue.clone_from(&input.claims);
        input.queue.extend(line);
        input
    }

    fn running(&self, live: &Live, now: Time) -> Running {
        let since = live.state.handle().map_or(live.granted, |handle| handle.start_time);
        let end = match live.state {
            // It was told to stop.
            JobState::Completing(..) => now.plus_s(OVERDUE_S).0,
            _ => expected_end(since, live.job.limit_s, now).0,
        };
        // What is no longer configured does not come back.
        let held = live.state.allocation();
        let held = held.map_or(Capacity::default(), |held| self.ledger.room_of(held));
        Running { job: live.job.id, end, held }
    }

    /// Attempts of partitions that others preempt, and all that are leaving.
    fn preemptable(&self) -> Vec<Preemptable> {
        let below = self.rules.partitions.preempted();
        if below == 0 {
            return Vec::new();
        }
        let attempts = self.live.values().map(|live| Preemptable {
            job: live.job.id,
            partition: live.job.placement.partition,
            since: live.granted.0,
            held: self.running(live, live.granted).held,
            leaves: matches!(live.state, JobState::Completing(..)),
        });
        // A partition that is no longer there has no bit.
        let one = |partition: u8| 1_u64.checked_shl(partition.into()).unwrap_or(0);
        attempts.filter(|a| a.leaves || below & one(a.partition) != 0).collect()
    }

    /// The partitions that a pending job preempts, each a bit.
    pub(super) fn preempts(&self, job: JobId) -> u64 {
        let partition = self.queue.get(job).map(|job| job.placement.partition);
        partition.map_or(0, |partition| self.rules.partitions.preempts(partition))
    }

    /// Whether a job waits that need not wait until something is free.
    fn may_preempt(&self) -> bool {
        let partitions = self.rules.partitions.iter().zip(0..);
        let mut preempting = partitions.filter(|(partition, _)| partition.preempts != 0);
        preempting.any(|(_, place)| self.queue.waiting_for(place) > 0)
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
            held_back: self.ledger.held_back().collect(),
            others: self.ledger.others(),
            pending: self.queue.len() as u64,
            further_tasks: self.arrays.further(),
            running: (self.live.len() - completing) as u64,
            completing: completing as u64,
            ended: self.ended.clone(),
            allocations: self.allocations,
            releases: self.releases,
            stale_facts: self.stale_facts,
            maintenance: self.maintenance.all().to_vec(),
            ..Snapshot::default()
        }
    }
}
