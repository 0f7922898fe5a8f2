//! *Purpose*: new jobs.
//!
//! *Owns*: [`Kernel::submit`], [`Kernel::admit`], [`Kernel::stored`], [`Kernel::withdraw`].
//!
//! *Promises*: a job that waits for nothing enters the queue at once, so that a pass may start it
//! in the commit that stores it; whoever waits for something enters once the submission is durable,
//! by the rules of then. Before that no command knows either of them. One that is withdrawn leaves
//! nothing behind, and gives back what it was granted.
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
use crate::kernel::parts::limits::Waiting;
use crate::kernel::parts::live::Live;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::retries::RetryState;
use crate::kernel::state::{Entering, Kernel};
use crate::kernel::transition::JobState;
use crate::time::Time;

impl Kernel {
    /// Numbers jobs. Who waits for nothing enters the queue, the others do by [`Kernel::admit`]
    /// once the step is durable; if that fails their numbers are burnt.
    pub fn submit(
        &mut self,
        specs: Vec<Arc<JobSpec>>,
        elsewhere: &DependencySnapshot,
        by: &Permitted,
        now: Time,
    ) -> (Vec<JobId>, Step) {
        let mut step = Step::default();
        let (mut admitted, mut stored) = (Vec::new(), Vec::new());
        let first = self.next_job;
        let new = specs.iter().zip(first..).map(|(spec, id)| (JobId(id), &**spec));
        self.gather_singletons(new, elsewhere);
        for spec in specs {
            let id = JobId(self.next_job);
            self.next_job += 1;
            let event =
                self.event((id, 0), (None, StateWord::Pending), ("submitted", by.principal()), now);
            let job = self.entering(id, &spec, now);
            let conditions = self.conditions_of(&spec, elsewhere);
            let waits_for_nothing = conditions.is_empty() && spec.array.is_none();
            self.eligibility.register(id, conditions);
            if let Some(array) = &spec.array {
                let followed = self.array_progress(&spec.dependencies, elsewhere);
                self.arrays.enter(id, array, &followed);
            }
            if let Some(policy) = &spec.retry {
                self.retries.insert(id, RetryState::new(policy));
            }
            match waits_for_nothing {
                true => {
                    self.enter_unstored(job, now);
                    stored.push(id);
                }
                false => admitted.push(job),
            }
            step.changes.push(Change::Submitted { event, spec });
            // Whoever has ended may be forgotten before this is read again.
            step.changes.extend(self.told_so_far(id));
        }
        let ids = (first..self.next_job).map(JobId).collect();
        step.effects.push(Effect::Stored(stored));
        step.effects.push(Effect::Admit(admitted));
        (ids, step)
    }

    /// A pass may see this job, and nobody else until its submission is durable.
    fn enter_unstored(&mut self, job: Queued, now: Time) {
        self.entered(job.id);
        self.unstored.insert(job.id);
        self.enqueue(job, now);
    }

    /// These submissions are durable: from now on whoever names their jobs is heard.
    pub fn stored(&mut self, jobs: &[JobId]) {
        for job in jobs {
            self.unstored.remove(job);
        }
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

    /// What was about to be submitted is not: nothing waits for it, it waits for nothing, and holds
    /// nothing.
    pub fn withdraw(&mut self, jobs: &[JobId], now: Time) {
        for job in jobs {
            if self.unstored.remove(job) && self.queue.remove(*job).is_none() {
                self.take_back(*job, now);
            }
            self.eligibility.forget(*job);
            self.eligibility.leave(*job);
            self.retries.remove(job);
            self.arrays.withdraw(*job);
            self.entered(*job);
        }
    }

    /// A grant that is not durable, and never will be, was none.
    fn take_back(&mut self, job: JobId, now: Time) {
        let Some(Live { job, state, .. }) = self.live.remove(&job) else { return };
        let JobState::Starting(allocation) = state else {
            unreachable!("nobody tells of an attempt that was not launched")
        };
        self.ledger.release(allocation);
        self.releases += 1;
        self.rules.ended(&job, &self.requests.demand(&job), now);
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

    /// A new job as it will stand in the queue; it counts as waiting from now on.
    pub(in crate::kernel) fn entering(&mut self, id: JobId, spec: &JobSpec, now: Time) -> Queued {
        let words = (&*spec.partition, &*spec.account, spec.counted_user());
        let job = self.with_words(Queued::submitted(id, spec, now), words);
        let rest = self.request(&spec.beside_cpus());
        let waiting = Waiting::of(spec);
        self.entering.insert(id, Entering { names: job.names, rest, waiting });
        self.count_entering(job.names, waiting, true);
        Queued { rest, ..job }
    }

    fn count_entering(&mut self, names: u32, waiting: Waiting, more: bool) {
        if let Some(words) = self.names.get(names) {
            self.rules.entering(words, waiting, more);
        }
    }

    /// This submission is durable, or never will be. `false`: it was not under way.
    pub(in crate::kernel) fn entered(&mut self, id: JobId) -> bool {
        let Some(Entering { names, waiting, .. }) = self.entering.remove(&id) else { return false };
        self.count_entering(names, waiting, false);
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::edit::Edit;
    use crate::job::ids::Attempt;
    use crate::job::state::Hold;
    use crate::kernel::change::Change;
    use crate::kernel::check;
    use crate::kernel::commands::cancel::Cancelled;
    use crate::kernel::commands::edit::Edited;
    use crate::kernel::commands::requeue::Requeued;
    use crate::kernel::testing::job::{JobBuilder, job};
    use crate::kernel::testing::{KernelBuilder, partition};
    use crate::policy::name::Policy;
    use crate::policy::pass::plan;
    use crate::policy::plan::Plan;
    use crate::resources::partitions::{Partition, Partitions};

    const NOW: Time = Time(1);

    fn submitted(kernel: &mut Kernel, jobs: Vec<JobBuilder>) -> (Vec<JobId>, Step) {
        let specs = jobs.into_iter().map(JobBuilder::spec).collect();
        kernel.submit(specs, &DependencySnapshot::default(), &"me".into(), NOW)
    }

    fn start(kernel: &mut Kernel, jobs: &[JobId]) -> (u32, u32, Step) {
        kernel.start(&Plan { start: jobs.to_vec(), ..Plan::default() }, NOW)
    }

    #[test]
    fn who_waits_for_nothing_is_started_before_it_is_durable_and_known_after() {
        let mut kernel = KernelBuilder::new().cpus(2).build();
        let (ids, step) = submitted(&mut kernel, vec![job(), job().held(), job().array("1-2")]);
        assert_eq!(step.effects[0], Effect::Stored(vec![ids[0]]));
        assert!(matches!(&step.effects[1], Effect::Admit(jobs) if jobs.len() == 2));
        let (started, stale, granted) = start(&mut kernel, &ids);
        assert_eq!((started, stale), (1, 2), "a pass sees the first alone");
        assert_eq!(granted.effects, [Effect::Launch(Attempt { job: ids[0], n: 1 })]);
        kernel.made_durable(step.effects);
        assert_eq!(check::all(&kernel), Ok(()));
        assert_eq!(kernel.cancel(&ids[..1], &"me".into(), NOW).0, [Cancelled::Stopping]);
    }

    #[test]
    fn before_it_is_durable_nobody_can_name_it() {
        let mut kernel = KernelBuilder::new().cpus(1).build();
        let (ids, _) = submitted(&mut kernel, vec![job(), job()]);
        assert_eq!(start(&mut kernel, &ids).0, 1, "one runs, one waits");
        let (by, elsewhere) = (&"me".into(), &DependencySnapshot::default());
        for id in &ids {
            let release = Edit { held: Some(false), ..Edit::default() };
            assert_eq!(kernel.edit(*id, release, elsewhere, by, NOW).0, Edited::NotLive);
            assert_eq!(kernel.requeue_asked(*id, Hold::No, by, NOW).0, Requeued::NotLive);
            let (outcomes, step) = kernel.cancel(&[*id], by, NOW);
            assert_eq!((outcomes, step), (vec![Cancelled::NotLive], Step::default()));
            let after = job().after(&format!("afterany:{id}")).spec();
            assert!(kernel.unknown_others(&[after], elsewhere), "the database will know");
        }
        assert_eq!(check::all(&kernel), Ok(()));
    }

    #[test]
    fn one_that_is_withdrawn_gives_back_what_it_was_granted() {
        let mut kernel = KernelBuilder::new().cpus(3).memory(Some(1_000)).build();
        let mine = kernel.enter([job().account("a").cpus(2)], NOW);
        let before = (kernel.ledger().free_room(), kernel.snapshot().running);
        let asked = || job().account("a").memory(100);
        let (ids, step) = submitted(&mut kernel, vec![asked(), asked(), asked().held()]);
        let (started, _, granted) = start(&mut kernel, &ids[..1]);
        assert_eq!((started, granted.changes.len()), (1, 1));
        assert_eq!(kernel.snapshot().used_memory, 100);
        kernel.withdraw(&ids, NOW);
        assert_eq!((kernel.ledger().free_room(), kernel.snapshot().running), before);
        assert_eq!(check::all(&kernel), Ok(()));
        assert_eq!(kernel.queue().iter().map(|job| job.id).collect::<Vec<_>>(), mine);
        assert_eq!(start(&mut kernel, &ids).1, 3, "none of them is left");
        assert!(matches!(step.changes[0], Change::Submitted { .. }));
    }

    #[test]
    fn nobody_makes_room_for_a_job_that_is_not_durable() {
        let mut kernel = KernelBuilder::new().cpus(1).build();
        let running = kernel.enter([job()], NOW);
        assert_eq!(start(&mut kernel, &running).0, 1);
        let (ids, step) = submitted(&mut kernel, vec![job().priority(9)]);
        let plan = Plan { preempt: Some((ids[0], running)), ..Plan::default() };
        let (_, stale, nothing) = kernel.start(&plan, NOW);
        assert_eq!((stale, nothing), (1, Step::default()));
        kernel.made_durable(step.effects);
    }

    #[test]
    fn a_pass_plans_no_room_for_a_job_before_it_is_durable_and_does_afterwards() {
        let first = partition("low", 0..1);
        let second = Partition { preempts: 1, ..partition("high", 0..1) };
        let partitions = Arc::new(Partitions::new(vec![first, second], 0).unwrap());
        let mut kernel = KernelBuilder::new().cpus(1).partitions(&partitions).build();
        let running = kernel.enter([job().partition("low")], NOW);
        assert_eq!(start(&mut kernel, &running).0, 1);
        let (ids, step) = submitted(&mut kernel, vec![job().partition("high")]);
        let planned =
            |kernel: &Kernel| plan(Policy::default(), &kernel.input(&Policy::default(), NOW));
        assert_eq!(planned(&kernel).preempt, None);
        kernel.made_durable(step.effects);
        assert_eq!(planned(&kernel).preempt, Some((ids[0], running)));
    }
}
