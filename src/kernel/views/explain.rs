//! *Purpose*: why jobs wait.
//!
//! *Owns*: [`Explained`].
//!
//! *Promises*: an explanation is made of what a pass would see, and changes nothing.
//!
//! *Not here*: the sentences (`observe::explain`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::job::array_spec::JobRef;
use crate::job::dependency::DEPENDENCIES_MAX;
use crate::job::ids::JobId;
use crate::job::spec::JobSpec;
use crate::kernel::parts::accounts::Account;
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::parts::queue::pending::pointed;
use crate::kernel::state::Kernel;
use crate::kernel::views::partitions::PartitionNow;
use crate::policy::input::{PassInput, PendingJob, RequestId};
use crate::policy::name::Policy;
use crate::resources::capacity::Part;
use crate::time::{SECOND_US, Time};

/// How many jobs of the line are looked at to explain why they wait: a page of a list.
pub const LINE_DEPTH: usize = 1_000;

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
    /// The accounts that the quotas of the line are of; empty where nobody is limited.
    pub accounts: Vec<Account>,
    /// The users that they are of.
    pub users: Vec<Account>,
}

impl Explained {
    /// The number under which a job of the line asks for this beside CPUs.
    pub(in crate::kernel) fn asks_too(&mut self, parts: Box<[Part]>) -> RequestId {
        if parts.is_empty() {
            return RequestId::NOTHING;
        }
        let requests = Arc::make_mut(&mut self.line.requests);
        requests.push(parts);
        RequestId(u32::try_from(requests.len()).unwrap_or(u32::MAX))
    }

    /// Puts one more into the line, where the policy has it.
    pub(in crate::kernel) fn join(&mut self, job: PendingJob, policy: &Policy, now: Time) {
        let rule = policy.rule(SECOND_US);
        let place = rule.place(&job, now.0);
        let line = &mut self.line.queue;
        let at = line.partition_point(|other| rule.place(other, now.0) < place);
        line.insert(at, job);
    }

    /// Takes back that an array can never start, if its row, which was read before, names another
    /// number of tasks that are left: some were let go since, and may run.
    pub fn as_of_row(&mut self, array: JobId, left: usize) {
        if let Some(Blocked::NeverTasks(never, _)) = self.blocked.get(&array)
            && *never != left
        {
            self.blocked.remove(&array);
        }
    }
}

impl Kernel {
    /// What a pass sees, with the first jobs of the whole line, to explain why each waits; before
    /// them stand those that room was made for.
    #[must_use]
    pub fn line(&self, policy: &Policy, now: Time) -> PassInput {
        let mut input = self.ground(now);
        let line = self.queue.line(policy, &input, &self.rules.points(now), LINE_DEPTH);
        input.queue.clone_from(&input.claims);
        input.queue.extend(line);
        input
    }

    /// Why a pending job may not start now whatever is free; `None` when it is a matter of turn.
    #[must_use]
    pub fn blocked(&self, job: JobId, now: Time) -> Option<Blocked> {
        self.hold_reason(self.queue.get(job)?, now)
    }

    /// The same of one task of an array that is no job of its own yet: others of it may start
    /// that it cannot follow, or may never start where it can.
    #[must_use]
    pub fn task_blocked(&self, of: JobRef, now: Time) -> Option<Blocked> {
        let job = self.queue.get(of.job)?;
        let conditions = self.eligibility.blocked(job.id, now);
        let tasks = || self.arrays.task_blocked(job.id, of.task);
        conditions.or_else(tasks).or_else(|| self.partition_hold(job))
    }

    /// Adds what would be said of a job if it were submitted now under this id.
    pub fn explain_as_if(
        &self,
        explained: &mut Explained,
        (id, spec, elsewhere): (JobId, &JobSpec, &DependencySnapshot),
        policy: &Policy,
        now: Time,
    ) {
        let conditions = self.conditions_of(spec, elsewhere);
        let singletons = elsewhere.singletons.values().flatten().copied().take(DEPENDENCIES_MAX);
        let singletons: Vec<JobId> = singletons.collect();
        let mut queued = self.queued(id, spec, now);
        if let Some(blocked) =
            conditions.blocked(now, &singletons).or_else(|| self.partition_hold(&queued))
        {
            explained.blocked.insert(id, blocked);
            return;
        }
        explained.placements.insert(id, queued.placement.partition);
        // It has no number yet for what it asks for.
        queued.rest = explained.asks_too(self.ledger.inventory().parts(&spec.beside_cpus()));
        explained.join(pointed(&queued, &self.rules.points(now)), policy, now);
    }

    /// Adds how the partitions stand, and in which of them these jobs wait.
    pub fn explain_partitions(&self, explained: &mut Explained, jobs: &[JobRef]) {
        if self.rules.partitions.is_empty() {
            return;
        }
        explained.partitions = self.partitions_now();
        let placement = |of: &JobRef| Some((of.job, self.queue.get(of.job)?.placement.partition));
        explained.placements = jobs.iter().filter_map(placement).collect();
    }

    /// Adds how accounts and users stand that the line's quotas are of.
    pub fn explain_payers(&self, explained: &mut Explained) {
        if !explained.line.quotas.is_nobodys() {
            explained.accounts = self.rules.accounts.all().to_vec();
            explained.users = self.rules.users.all().to_vec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_names_a_task_that_was_let_go_since_is_not_told_never() {
        let never = BTreeMap::from([(JobId(7), Blocked::NeverTasks(1, vec![JobId(1)]))]);
        let mut explained = Explained { blocked: never, ..Explained::default() };
        let before = explained.clone();
        explained.as_of_row(JobId(8), 2);
        explained.as_of_row(JobId(7), 1);
        assert_eq!(explained, before);
        explained.as_of_row(JobId(7), 2);
        assert!(explained.blocked.is_empty());
    }
}
