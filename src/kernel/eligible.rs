//! *Purpose*: which pending jobs may start at all, and what people change about them.
//!
//! *Owns*: [`DependencySnapshot`], [`Edit`], and the kernel's dealing with [`Conditions`].
//!
//! *Promises*: a job whose conditions are not met is not shown to a pass, and one whose last
//! condition is met is, in the same step; an edit of a job that no longer waits changes nothing.
//!
//! *Not here*: what conditions there are (`kernel::parts::conditions`), whose turn it is
//! (`policy`).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::job::dependency::{
    Answer, DEPENDENCIES_MAX, Dependencies, Dependency, DependencyKind, DependencyState, Told,
};
use crate::job::ids::JobId;
use crate::job::outcome::EndState;
use crate::job::spec::{JobSpec, SingletonKey};
use crate::job::state::StateWord;
use crate::kernel::change::{Change, Edit, Step};
use crate::kernel::kernel::Kernel;
use crate::kernel::parts::arrays::ArrayProgress;
use crate::kernel::parts::conditions::{Blocked, Conditions};
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::parts::queue::pending::pointed;
use crate::kernel::parts::queued::Queued;
use crate::kernel::view::Explained;
use crate::policy::name::Policy;
use crate::time::{SECOND_US, Time};

/// What became of an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It is as asked for.
    Done,
    /// It has been started; only a pending job can be changed.
    Live,
    /// It is over, or never was. The database tells.
    NotLive,
}

impl Kernel {
    /// Jobs that new ones wait for, and of which neither this kernel nor `elsewhere` knows how they
    /// stand: one that ended a moment ago, or is just entering. The database will know.
    #[must_use]
    pub fn unknown_others(&self, specs: &[Arc<JobSpec>], elsewhere: &DependencySnapshot) -> bool {
        let known = |one: &Dependency| {
            let followed = one.relation == DependencyKind::AfterCorr;
            self.standing_of(one).is_some()
                || match one.task {
                    Some(task) => elsewhere.tasks.contains_key(&(one.job, task)),
                    None if followed => elsewhere.partners.contains_key(&one.job),
                    None => elsewhere.ended.contains_key(&one.job),
                }
        };
        let mut others = specs.iter().flat_map(|spec| &spec.dependencies.list);
        let mut singletons = elsewhere.singletons.values().flatten();
        others.any(|one| !known(one)) || singletons.any(|job| self.standing(*job).is_none())
    }

    /// How the job or the task stands that a dependency names; `None`: it is over, or entering.
    fn standing_of(&self, one: &Dependency) -> Option<DependencyState> {
        match one.task {
            Some(task) => self.arrays.task_standing(one.job, task),
            None => self.standing(one.job),
        }
    }

    /// The arrays that a new one follows task by task.
    pub(super) fn array_progress(
        &self,
        dependencies: &Dependencies,
        elsewhere: &DependencySnapshot,
    ) -> Vec<(JobId, ArrayProgress)> {
        let list = dependencies.list.iter();
        let followed = list.filter(|one| one.relation == DependencyKind::AfterCorr);
        let partner =
            |job: JobId| self.arrays.partner(job).or_else(|| elsewhere.partners.get(&job).cloned());
        followed.map(|one| (one.job, partner(one.job).unwrap_or_default())).collect()
    }

    fn standing(&self, job: JobId) -> Option<DependencyState> {
        if let Some(standing) = self.arrays.standing(job) {
            return Some(standing);
        }
        if self.queue.get(job).is_some() {
            return Some(DependencyState::Waiting);
        }
        let live = self.live.get(&job)?;
        let started = live.state.handle().is_some();
        Some(if started { DependencyState::Started } else { DependencyState::Waiting })
    }

    /// What a new job has to wait for, except for its kin.
    pub(super) fn conditions_of(
        &self,
        spec: &JobSpec,
        elsewhere: &DependencySnapshot,
    ) -> Conditions {
        let answers = spec.dependencies.list.iter().map(|one| {
            let ended = match one.task {
                Some(task) => elsewhere.tasks.get(&(one.job, task)),
                None => elsewhere.ended.get(&one.job),
            };
            let ended = ended.map(|completed| DependencyState::Ended { completed: *completed });
            let standing = self.standing_of(one).or(ended).unwrap_or(DependencyState::Waiting);
            one.relation.answer(standing)
        });
        Conditions {
            held: spec.held,
            begin: spec.begin,
            deadline: spec.deadline,
            dependencies: spec.dependencies.clone(),
            answers: answers.collect(),
        }
    }

    /// New singletons find those that came before them, be it just now or in the same submission.
    pub(super) fn gather_singletons<'a>(
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

    /// What was about to be submitted is not: nothing waits for it, and it waits for nothing.
    pub fn withdraw(&mut self, jobs: &[JobId]) {
        for job in jobs {
            self.eligibility.forget(*job);
            self.eligibility.leave(*job);
            self.again.remove(job);
            self.arrays.withdraw(*job);
            self.entered(*job);
        }
    }

    /// What is known by now of the others that this job waits for, to be kept with it.
    pub(super) fn told_so_far(&self, job: JobId) -> Option<Change> {
        let conditions = self.eligibility.get(job)?;
        let some = conditions.answers.iter().any(|answer| *answer != Answer::Open);
        let told = Told { answers: conditions.answers.clone(), done: self.arrays.done_of(job) };
        some.then_some(Change::Told { job, told })
    }

    /// These jobs, and the arrays that they are tasks of, will soon look as if they had not ended
    /// or had never been: whoever waits for them keeps what it was told.
    pub(super) fn keep_answers(&self, others: impl Iterator<Item = JobId>, step: &mut Step) {
        let waiters = others.flat_map(|other| self.eligibility.waiters_of(other));
        let waiters: BTreeSet<JobId> = waiters.collect();
        step.changes.extend(waiters.into_iter().filter_map(|waiter| self.told_so_far(waiter)));
    }

    /// Puts a pending job where a pass sees it, or where none does.
    pub(super) fn place(&mut self, job: Queued, now: Time) {
        let may_start = self.keeps(&job, now).is_none();
        self.queue.insert(job, may_start);
        self.queue.set_startable_tasks(job.id, self.arrays.startable_tasks(job.id));
    }

    pub(super) fn refresh(&mut self, job: JobId, now: Time) {
        let Some(queued) = self.queue.get(job) else { return };
        let may_start = self.keeps(queued, now).is_none();
        self.queue.show(job, may_start);
        self.queue.set_startable_tasks(job, self.arrays.startable_tasks(job));
    }

    /// Another job stands so now: whoever waits for that may go on.
    pub(super) fn hear(&mut self, job: JobId, standing: DependencyState, now: Time) {
        let over = matches!(standing, DependencyState::Ended { .. });
        for waiter in self.eligibility.waiters_of(job) {
            self.eligibility.hear(waiter, job, standing);
            self.refresh(waiter, now);
        }
        if over && let Some(next) = self.eligibility.leave(job) {
            self.refresh(next, now);
        }
    }

    /// When [`Kernel::ring`] has something to do next.
    #[must_use]
    pub fn next_alarm(&self) -> Option<Time> {
        let first = self.eligibility.next_alarm();
        first.into_iter().chain(self.maintenance.next_end()).min()
    }

    /// It is so late now: jobs whose time has come may start, those whose deadline has passed are
    /// cancelled, windows that have passed are forgotten.
    pub fn ring(&mut self, now: Time) -> Step {
        let mut step = self.pass_windows(now);
        while let Some(job) = self.eligibility.ring(now) {
            let late = self.eligibility.deadline(job).is_some_and(|deadline| deadline <= now);
            if late && let Some(queued) = self.queue.remove(job) {
                self.eligibility.forget(job);
                let error = "its deadline passed before it could start".to_owned();
                let end = EndState::without_script(StateWord::Cancelled, Some(error), now);
                self.end_pending(queued, end, ("deadline_reached", Arc::from("")), now, &mut step);
            } else {
                self.refresh(job, now);
            }
        }
        step
    }

    /// Changes a pending job.
    pub fn edit(
        &mut self,
        id: JobId,
        edit: Edit,
        principal: &Arc<str>,
        now: Time,
    ) -> (Edited, Step) {
        let mut step = Step::default();
        let Some(mut job) = self.queue.remove(id) else {
            let live = self.live.contains_key(&id);
            return (if live { Edited::Live } else { Edited::NotLive }, step);
        };
        if edit.priority.is_some_and(|priority| priority < job.priority) {
            self.give_up_claim(id, &mut step);
        }
        job.priority = edit.priority.unwrap_or(job.priority);
        job.limit_s = edit.limit_s.unwrap_or(job.limit_s);
        let mut conditions = self.eligibility.forget(id).unwrap_or_default();
        conditions.held = edit.held.unwrap_or(conditions.held);
        conditions.begin = edit.begin.unwrap_or(conditions.begin);
        conditions.deadline = edit.deadline.unwrap_or(conditions.deadline);
        self.eligibility.register(id, conditions);
        self.place(job, now);
        let event = self.event(
            (id, job.attempts),
            (Some(StateWord::Pending), StateWord::Pending),
            (edit.cause(), Arc::clone(principal)),
            now,
        );
        step.changes.push(Change::Edited { event, edit });
        (Edited::Done, step)
    }

    /// Why a pending job may not start now whatever is free; `None` when it is a matter of turn.
    #[must_use]
    pub fn blocked(&self, job: JobId, now: Time) -> Option<Blocked> {
        self.keeps(self.queue.get(job)?, now)
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
        let queued = self.queued(id, spec, now);
        if let Some(blocked) = conditions.blocked(now, &singletons).or_else(|| self.closed(&queued))
        {
            explained.blocked.insert(id, blocked);
            return;
        }
        explained.placements.insert(id, queued.placement.partition);
        let job = pointed(&queued, &self.rules.points(now));
        let rule = policy.rule(SECOND_US);
        let place = rule.place(&job, now.0);
        let line = &mut explained.line.queue;
        let at = line.partition_point(|other| rule.place(other, now.0) < place);
        line.insert(at, job);
    }

    /// How a condition stands is what its answers say, and whoever may start is seen: answers one
    /// job of which that is not true at this time.
    pub(super) fn wrongly_placed(&self, now: Time) -> Option<JobId> {
        let wrong = |job: &&Queued| {
            let conditions = self.eligibility.get(job.id);
            let waits_for_time = conditions.is_some_and(|c| c.begin.is_some());
            let may_start = self.keeps(job, now).is_none();
            let shown = self.queue.is_shown(job.id);
            if waits_for_time { shown && !may_start } else { shown != may_start }
        };
        self.queue.iter().find(wrong).map(|job| job.id)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
