//! *Purpose*: who may use what part of the machine.
//!
//! *Owns*: [`Rules`], and how the kernel keeps them.
//!
//! *Promises*: a job of a partition that is down, or gone, or allows less than it asks for, is not
//! seen by a pass; nothing starts beyond the limits of an account, however old a plan is.
//!
//! *Not here*: what partitions are (`resources::partitions`), their CPUs (`resources::ledger`),
//! how other rules come to hold (`kernel::reconfigure`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::job::ids::{CpuId, JobId};
use crate::job::request::Request;
use crate::job::spec::JobSpec;
use crate::kernel::change::{Change, Step};
use crate::kernel::kernel::Kernel;
use crate::kernel::parts::accounts::{UNCOUNTED, named};
use crate::kernel::parts::arrays::beyond_the_first;
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::parts::priority::Parts;
use crate::kernel::parts::queue::pending::pointed;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::rules::{Rules, WHOLE};
use crate::kernel::view::Explained;
use crate::policy::name::Policy;
use crate::resources::partitions::{Partition, Placement};
use crate::time::{SECOND_US, Time};

/// Where a pending job stands in the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rank {
    /// Its place, from 1; `None` while it may not start.
    pub position: Option<usize>,
    /// Its points: more goes first.
    pub points: i64,
    /// Of what they are made.
    pub parts: Parts,
    /// What the policy's order sees in it, among those with as many points.
    pub value: Option<f64>,
    /// How long it has waited, seconds.
    pub waited_s: i64,
}

/// How a partition stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionNow {
    /// Its name.
    pub name: Arc<str>,
    /// Whether its jobs start.
    pub up: bool,
    /// Whether it is for jobs that name none.
    pub default: bool,
    /// Its CPUs.
    pub cpus: Vec<CpuId>,
    /// CPUs of it that are free; others may take them too.
    pub free: u32,
    /// Its jobs that hold CPUs.
    pub running: u64,
    /// Its jobs that wait.
    pub pending: u64,
}

impl Kernel {
    /// What holds for everybody.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How a new job would stand in the queue.
    pub(super) fn queued(&self, id: JobId, spec: &JobSpec, now: Time) -> Queued {
        let placement = self.rules.partitions.placement(&spec.partition);
        let account = self.rules.accounts.find(&spec.account);
        Queued { placement, account, ..Queued::submitted(id, spec, now) }
    }

    /// The same for one that is submitted: its account is counted from now on.
    pub(super) fn entering(&mut self, id: JobId, spec: &JobSpec, now: Time) -> Queued {
        let account = self.number(&spec.account);
        self.rules.accounts.entering(account, true);
        let names = self.name(&spec.partition, &spec.account);
        let rest = self.request(&spec.beside_cpus());
        self.entering.insert(id, (names, rest));
        Queued { names, rest, ..self.queued(id, spec, now) }
    }

    /// The number of an account, if it is counted.
    pub(super) fn number(&mut self, account: &str) -> u32 {
        let waits = |account| self.queue.waiting_of(account) > 0;
        self.rules.accounts.number(account, waits)
    }

    /// This submission is durable, or never will be. `false`: it was not under way.
    pub(super) fn entered(&mut self, id: JobId) -> bool {
        let Some((names, _)) = self.entering.remove(&id) else { return false };
        if let Some(words) = self.names.get(names) {
            let account = self.rules.accounts.find(&words.account);
            self.rules.accounts.entering(account, false);
        }
        true
    }

    /// The first of these jobs for which its account has too many that wait, and why.
    #[must_use]
    pub fn too_many(&self, specs: &[Arc<JobSpec>]) -> Option<(usize, String)> {
        let rules = self.rules.accounts.rules();
        let mut new: HashMap<&str, u64> = HashMap::new();
        for (place, spec) in specs.iter().enumerate() {
            let Some(max) = rules.of(&spec.account).and_then(|rule| rule.max_queued_jobs) else {
                continue;
            };
            let id = self.rules.accounts.find(&spec.account);
            let entering = self.rules.accounts.get(id).map_or(0, |account| account.entering);
            let waiting = match id {
                UNCOUNTED => 0,
                id => self.queue.waiting_of(id) + self.further_of(id) + u64::from(entering),
            };
            let with = new.entry(&spec.account).or_insert(waiting);
            *with += spec.array.as_ref().map_or(1, |array| array.tasks.len() as u64);
            if *with > u64::from(max) {
                let name = named(&spec.account);
                let message = format!(
                    "{name} may have {max} jobs waiting and has {waiting}; wait until some have \
                     started, or send fewer"
                );
                return Some((place, message));
            }
        }
        None
    }

    /// A job of this account gave its CPUs back.
    pub(super) fn charge(&mut self, job: &Queued, now: Time, step: &mut Step) {
        if job.account == UNCOUNTED {
            return;
        }
        self.rules.accounts.ended(job.account, &self.requests.demand(job), now);
        if let Some((account, cpu_us, at)) = self.rules.accounts.charge(job.account) {
            step.changes.push(Change::Charged { account, cpu_us, at });
        }
    }

    /// Tasks of this account's arrays that are no entries of the queue of their own.
    fn further_of(&self, account: u32) -> u64 {
        let of = |id: JobId| self.queue.get(id).is_some_and(|job| job.account == account);
        let arrays = self.arrays.iter().filter(|(id, _)| of(*id));
        arrays.map(|(_, array)| beyond_the_first(array.left.len())).sum()
    }

    /// Where a pending job stands, and why there; `None` when it does not wait.
    #[must_use]
    pub fn rank(&self, id: JobId, policy: &Policy, now: Time) -> Option<Rank> {
        let job = self.queue.get(id)?;
        let points = self.rules.points(now);
        let waiting = pointed(job, &points);
        let rule = policy.rule(SECOND_US);
        let place = rule.place(&waiting, now.0);
        // Those that room was made for stand before all others.
        let claims = self.claims_now(now);
        let position = match claims.iter().position(|claim| claim.job == id) {
            Some(before) => Some(before + 1),
            None => {
                let behind = claims.iter().filter(|claim| rule.place(claim, now.0) > place);
                let in_line = self.queue.position(policy, now, &points, id);
                in_line.map(|position| position + behind.count())
            }
        };
        Some(Rank {
            position,
            points: waiting.points,
            parts: points.of(job),
            value: policy.order.value(&waiting, now.0),
            waited_s: now.since_us(job.submitted).max(0) / SECOND_US,
        })
    }

    /// Why a pass may not see this job.
    pub(super) fn keeps(&self, job: &Queued, now: Time) -> Option<Blocked> {
        let conditions = self.eligibility.blocked(job.id, now);
        conditions.or_else(|| self.arrays.blocked(job.id)).or_else(|| self.closed(job))
    }

    /// Why its partition does not let it start.
    pub(super) fn closed(&self, job: &Queued) -> Option<Blocked> {
        if self.rules.partitions.is_empty() {
            return None;
        }
        match self.rules.partitions.at(job.placement.partition) {
            Some(partition) if !partition.up => Some(Blocked::PartitionDown),
            Some(partition) => {
                let nothing = Request::default();
                let rest = self.requests.get(job.rest).map_or(&nothing, |rest| rest);
                partition.forbids(job.cpus, rest, job.limit_s).map(Blocked::PartitionAllows)
            }
            None => Some(Blocked::PartitionGone),
        }
    }

    /// Adds how the partitions stand, and in which of them these jobs wait.
    pub fn explain_partitions(&self, explained: &mut Explained, jobs: &[JobId]) {
        if self.rules.partitions.is_empty() {
            return;
        }
        explained.partitions = self.partitions_now();
        let placement = |job: &JobId| Some((*job, self.queue.get(*job)?.placement.partition));
        explained.placements = jobs.iter().filter_map(placement).collect();
    }

    /// Adds how the accounts stand that the line's quotas are of.
    pub fn explain_accounts(&self, explained: &mut Explained) {
        if !explained.line.quotas.is_empty() {
            explained.accounts = self.rules.accounts.all().to_vec();
        }
    }

    /// How all partitions stand; the whole machine is one where it is not divided.
    #[must_use]
    pub fn partitions_now(&self) -> Vec<PartitionNow> {
        if !self.rules.partitions.is_empty() {
            return self.rules.partitions.iter().map(|one| self.partition_now(one)).collect();
        }
        vec![PartitionNow {
            name: WHOLE.into(),
            up: true,
            default: true,
            cpus: self.ledger.configured().collect(),
            free: self.ledger.free(),
            running: self.live.len() as u64,
            pending: self.queue.len() as u64,
        }]
    }

    fn partition_now(&self, partition: &Partition) -> PartitionNow {
        let partitions = &self.rules.partitions;
        let Placement { partition: place, regions } = partitions.placement(&partition.name);
        let live = self.live.values().filter(|live| live.job.placement.partition == place);
        PartitionNow {
            name: Arc::clone(&partition.name),
            up: partition.up,
            default: partitions.default_one().is_some_and(|one| one.name == partition.name),
            cpus: partition.cpus.iter().copied().collect(),
            free: self.ledger.free_within(regions),
            running: live.count() as u64,
            pending: self.queue.waiting_for(place),
        }
    }
}

#[cfg(test)]
#[path = "tenancy/tests.rs"]
mod tests;
