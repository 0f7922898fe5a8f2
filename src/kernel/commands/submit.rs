//! *Purpose*: new jobs.
//!
//! *Owns*: [`Kernel::submit`], [`Kernel::admit`], [`Kernel::withdraw`].
//!
//! *Promises*: a job enters the queue once its submission is durable, by the rules of then; one
//! that is withdrawn leaves nothing behind.
//!
//! *Not here*: whether a request may become a job (`kernel::admission`), what it waits for
//! (`kernel::views::dependencies`).

use std::collections::HashSet;
use std::sync::Arc;

use crate::job::ids::JobId;
use crate::job::spec::{JobSpec, SingletonKey};
use crate::job::state::StateWord;
use crate::kernel::access::Permitted;
use crate::kernel::change::{Change, Effect, Step};
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::retries::RetryState;
use crate::kernel::state::Kernel;
use crate::time::Time;

impl Kernel {
    /// Numbers jobs. They enter the queue by [`Kernel::admit`] once the step is durable; if
    /// that fails their numbers are burnt.
    pub fn submit(
        &mut self,
        specs: Vec<Arc<JobSpec>>,
        elsewhere: &DependencySnapshot,
        by: &Permitted,
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
            let event =
                self.event((id, 0), (None, StateWord::Pending), ("submitted", by.principal()), now);
            admitted.push(self.entering(id, &spec, now));
            let conditions = self.conditions_of(&spec, elsewhere);
            self.eligibility.register(id, conditions);
            if let Some(array) = &spec.array {
                let followed = self.array_progress(&spec.dependencies, elsewhere);
                self.arrays.enter(id, array, &followed);
            }
            if let Some(policy) = &spec.retry {
                self.retries.insert(id, RetryState::new(policy));
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
            self.enqueue(job, job.submitted);
        }
    }

    /// What was about to be submitted is not: nothing waits for it, and it waits for nothing.
    pub fn withdraw(&mut self, jobs: &[JobId]) {
        for job in jobs {
            self.eligibility.forget(*job);
            self.eligibility.leave(*job);
            self.retries.remove(job);
            self.arrays.withdraw(*job);
            self.entered(*job);
        }
    }

    /// New singletons find those that came before them, be it just now or in the same submission.
    pub(in crate::kernel) fn gather_singletons<'a>(
        &mut self,
        new: impl Iterator<Item = (JobId, &'a JobSpec)> + Clone,
        elsewhere: &DependencySnapshot,
    ) {
        for (family, known) in &elsewhere.singletons {
            self.eligibility.join(family, known.iter().copied());
        }
        let singletons = new.clone().filter(|(_, spec)| spec.dependencies.singleton);
        let families: HashSet<SingletonKey> = singletons.map(|(_, spec)| spec.family()).collect();
        if families.is_empty() {
            return;
        }
        for (job, spec) in new {
            let family = spec.family();
            if families.contains(&family) {
                self.eligibility.join(&family, [job]);
            }
        }
    }

    /// A new job as it would stand in the queue; its account is counted from now on.
    pub(in crate::kernel) fn entering(&mut self, id: JobId, spec: &JobSpec, now: Time) -> Queued {
        let account = self.number(&spec.account);
        self.rules.accounts.entering(account, true);
        let names = self.name(&spec.partition, &spec.account);
        let rest = self.request(&spec.beside_cpus());
        self.entering.insert(id, (names, rest));
        Queued { names, rest, ..self.queued(id, spec, now) }
    }

    /// This submission is durable, or never will be. `false`: it was not under way.
    pub(in crate::kernel) fn entered(&mut self, id: JobId) -> bool {
        let Some((names, _)) = self.entering.remove(&id) else { return false };
        if let Some(words) = self.names.get(names) {
            let account = self.rules.accounts.find(&words.account);
            self.rules.accounts.entering(account, false);
        }
        true
    }
}
