//! *Purpose*: whether a job would wait for itself.
//!
//! *Owns*: the walk along what jobs wait for.
//!
//! *Promises*: a bounded number of jobs is looked at; what is met or past hope leads nowhere.
//!
//! *Not here*: what a job waits for (`kernel::parts::conditions`).
//!
//! New jobs can only wait for those that exist, so only an edit can close a circle.

use std::collections::HashSet;

use crate::job::dependency::{Answer, CHAIN_MAX, Dependencies, Dependency};
use crate::job::ids::JobId;
use crate::job::spec::SingletonKey;
use crate::kernel::parts::eligibility::{Chain, DependencySnapshot};
use crate::kernel::state::Kernel;

impl Kernel {
    /// Where it leads if this job waits for these (for whom it does by now, without them), and has
    /// this name.
    pub(in crate::kernel) fn chain(
        &self,
        id: JobId,
        waits: Option<&Dependencies>,
        family: &SingletonKey,
        elsewhere: &DependencySnapshot,
    ) -> Chain {
        let own = self.eligibility.get(id);
        let singleton = waits.or(own.map(|own| &own.dependencies)).is_some_and(|all| all.singleton);
        let mut next = match (waits, own) {
            (Some(waits), _) => waits.list.iter().flat_map(|one| self.named(one)).collect(),
            (None, Some(_)) => self.others(id),
            (None, None) => Vec::new(),
        };
        if singleton {
            let known = elsewhere.singletons.get(family).into_iter().flatten().copied();
            next.extend(known.chain(self.eligibility.family(family)).filter(|job| *job < id));
        }
        let mut seen: HashSet<JobId> = HashSet::new();
        while let Some(job) = next.pop() {
            if job == id {
                return Chain::Closes;
            }
            if !seen.insert(job) {
                continue;
            }
            if seen.len() > CHAIN_MAX {
                return Chain::TooLong;
            }
            let others = self.others(job);
            // A singleton of this name that came later will wait for this job.
            if others.contains(&id) || job > id && self.is_singleton_of(job, family) {
                return Chain::Closes;
            }
            next.extend(others);
            next.extend(self.elders(job, id));
        }
        Chain::Ends
    }

    /// The jobs that a job waits for by name.
    fn others(&self, job: JobId) -> Vec<JobId> {
        let Some(conditions) = self.eligibility.get(job) else { return Vec::new() };
        let all = conditions.dependencies.list.iter().zip(&conditions.answers);
        let open = all.filter(|(_, answer)| **answer == Answer::Open);
        open.flat_map(|(one, _)| self.named(one)).collect()
    }

    /// The jobs that one dependency means: of an array all that are of it.
    fn named(&self, one: &Dependency) -> Vec<JobId> {
        match one.task {
            Some(task) => {
                let member = self.arrays.get(one.job).and_then(|array| array.member(task));
                vec![member.unwrap_or(one.job)]
            }
            None => [one.job].into_iter().chain(self.arrays.members(one.job)).collect(),
        }
    }

    /// Those that a singleton waits for, but this job, which leaves its family.
    fn elders(&self, job: JobId, but: JobId) -> Vec<JobId> {
        let waits = self.eligibility.get(job).is_some_and(|own| own.dependencies.singleton);
        let elders = self.eligibility.before(job).filter(|elder| waits && *elder != but);
        elders.take(CHAIN_MAX).collect()
    }

    fn is_singleton_of(&self, job: JobId, family: &SingletonKey) -> bool {
        let waits = self.eligibility.get(job).is_some_and(|own| own.dependencies.singleton);
        waits && self.eligibility.family_of(job) == Some(family)
    }
}
