//! *Purpose*: a pending job as it would stand if it were changed.
//!
//! *Owns*: what it would wait for then, and its place in an explanation.
//!
//! *Promises*: nothing is changed.
//!
//! *Not here*: whether it may be changed so (`kernel::commands::edit`), its row
//! (`store::record::JobRecord::edited`).

use crate::job::edit::Edit;
use crate::job::ids::JobId;
use crate::job::request::MEMORY;
use crate::kernel::parts::conditions::Conditions;
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::parts::queue::pending::pointed;
use crate::kernel::parts::queued::Queued;
use crate::kernel::state::Kernel;
use crate::kernel::views::explain::Explained;
use crate::policy::name::Policy;
use crate::resources::capacity::Part;
use crate::time::Time;

impl Kernel {
    /// What it waits for when it has been changed so.
    pub(in crate::kernel) fn with_edit(
        &self,
        mut conditions: Conditions,
        edit: &Edit,
        elsewhere: &DependencySnapshot,
    ) -> Conditions {
        if let Some(held) = edit.held {
            (conditions.held, conditions.by_operator) = (held, held && edit.by_operator);
        }
        conditions.begin = edit.begin.unwrap_or(conditions.begin);
        conditions.deadline = edit.deadline.unwrap_or(conditions.deadline);
        if let Some(dependencies) = &edit.dependencies {
            conditions.answers = self.answers_of(dependencies, elsewhere);
            conditions.gives_up = edit.gives_up;
            conditions.dependencies.clone_from(dependencies);
        }
        conditions
    }

    /// Explains a pending job as if it had been changed so.
    pub fn explain_as_edited(
        &self,
        explained: &mut Explained,
        (id, edit, elsewhere): (JobId, &Edit, &DependencySnapshot),
        policy: &Policy,
        now: Time,
    ) {
        let Some(job) = self.queue.get(id).copied() else { return };
        explained.blocked.remove(&id);
        explained.position = None;
        explained.line.queue.retain(|other| other.job != id);
        let conditions = self.eligibility.get(id).cloned().unwrap_or_default();
        let conditions = self.with_edit(conditions, edit, elsewhere);
        let families = edit.family.iter().filter(|_| conditions.dependencies.singleton);
        let known = families.filter_map(|family| elsewhere.singletons.get(family)).flatten();
        let singletons: Vec<JobId> = known.copied().filter(|other| *other < id).collect();
        let (job, parts) = self.as_edited(job, edit);
        let blocked = conditions.blocked(now, &singletons);
        let blocked = blocked.or_else(|| self.arrays.blocked(id));
        if let Some(blocked) = blocked.or_else(|| self.partition_hold(&job)) {
            explained.blocked.insert(id, blocked);
            return;
        }
        explained.placements.insert(id, job.placement.partition);
        let mut waiting = pointed(&job, &self.rules.points(now));
        if let Some(parts) = parts {
            waiting.rest = explained.asks_too(parts);
        }
        explained.join(waiting, policy, now);
    }

    /// The job, and what it asks for beside CPUs where that is no longer what its number means.
    fn as_edited(&self, mut job: Queued, edit: &Edit) -> (Queued, Option<Box<[Part]>>) {
        job.priority = edit.priority.unwrap_or(job.priority);
        job.limit_s = edit.limit_s.unwrap_or(job.limit_s);
        job.cpus = edit.cpus.map_or(job.cpus, |(cpus, _)| cpus);
        let parts = edit.memory_bytes.map(|bytes| {
            let rest = self.requests.get(job.rest).map(|rest| (**rest).clone());
            let rest = rest.unwrap_or_default().with(MEMORY, bytes.unwrap_or(0));
            self.ledger.inventory().parts(&rest)
        });
        if let Some(words) = self.names.get(job.names) {
            let partition = edit.partition.as_deref().unwrap_or(&words.partition);
            let account = edit.account.as_deref().unwrap_or(&words.account);
            job = self.rules.seat(partition, account, &words.user).of(job);
        }
        (job, parts)
    }
}
