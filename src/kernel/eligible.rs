//! *Purpose*: which pending jobs may start at all, and what people change about them.
//!
//! *Owns*: [`DependencySnapshot`], [`Edit`], and the kernel's dealing with [`Conditions`].
//!
//! *Promises*: a job whose conditions are not met is not shown to a pass, and one whose last
//! condition is met is, in the same step; an edit of a job that no longer waits changes nothing.
//!
//! *Not here*: what conditions there are (`kernel::parts::conditions`), whose turn it is
//! (`policy`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::job::array_spec::TaskSet;
use crate::job::dependency::{
    Answer, DEPENDENCIES_MAX, Dependencies, Dependency, DependencyKind, DependencyState, Told,
};
use crate::job::ids::JobId;
use crate::job::outcome::EndState;
use crate::job::spec::{JobSpec, SingletonKey};
use crate::job::state::StateWord;
use crate::kernel::arrays::ArrayProgress;
use crate::kernel::change::{Change, Step};
use crate::kernel::kernel::Kernel;
use crate::kernel::parts::conditions::{Blocked, Conditions};
use crate::kernel::parts::queue::pending::pointed;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::singletons::Singletons;
use crate::kernel::view::Explained;
use crate::policy::name::Policy;
use crate::time::{SECOND_US, Time};

/// What the database knows of jobs that a new one waits for, and the kernel may have forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DependencySnapshot {
    /// Jobs that are over, and whether they COMPLETED.
    pub ended: HashMap<JobId, bool>,
    /// Tasks of arrays, named one by one, and whether they COMPLETED.
    pub tasks: HashMap<(JobId, u32), bool>,
    /// Arrays that are over and are followed task by task.
    pub partners: HashMap<JobId, ArrayProgress>,
    /// For each family of a new singleton: its members that had not ended.
    pub singletons: HashMap<SingletonKey, Vec<JobId>>,
}

/// What is to be different about a pending job; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Whether it is held.
    pub held: Option<bool>,
    /// Its priority.
    pub priority: Option<i64>,
    /// Its time limit, seconds; `Some(None)` is unlimited.
    pub limit_s: Option<Option<u32>>,
    /// Not before; `Some(None)` is at once.
    pub begin: Option<Option<Time>>,
    /// Not after; `Some(None)` is never.
    pub deadline: Option<Option<Time>>,
}

impl Edit {
    /// The word for it in events.
    fn cause(&self) -> &'static str {
        let only_held = Edit { held: None, ..self.clone() } == Edit::default();
        match self.held {
            Some(true) if only_held => "held",
            Some(false) if only_held => "released",
            _ => "edited",
        }
    }
}

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

/// Conditions of jobs that have not ended, and who waits for whom.
#[derive(Debug, Default)]
pub struct Eligibility {
    conditions: BTreeMap<JobId, Conditions>,
    waiters: BTreeMap<JobId, BTreeSet<JobId>>,
    singletons: Singletons,
    alarms: BTreeSet<(Time, JobId)>,
}

impl Eligibility {
    fn register(&mut self, job: JobId, conditions: Conditions) {
        for other in conditions.others() {
            self.waiters.entry(other).or_default().insert(job);
        }
        let times = conditions.begin.into_iter().chain(conditions.deadline);
        self.alarms.extend(times.map(|time| (time, job)));
        self.conditions.insert(job, conditions);
    }

    /// Nothing keeps it any more, or it is gone. Whoever it waited for finds nobody. Answers what
    /// it waited for.
    pub(super) fn forget(&mut self, job: JobId) -> Option<Conditions> {
        let conditions = self.conditions.remove(&job)?;
        for time in conditions.begin.into_iter().chain(conditions.deadline) {
            self.alarms.remove(&(time, job));
        }
        for other in conditions.others() {
            if let Some(waiters) = self.waiters.get_mut(&other) {
                waiters.remove(&job);
                if waiters.is_empty() {
                    self.waiters.remove(&other);
                }
            }
        }
        Some(conditions)
    }

    /// Who waits for this job, or for a task of it; or would, had it not ended already.
    pub(super) fn waiters_of(&self, job: JobId) -> Vec<JobId> {
        self.waiters.get(&job).into_iter().flatten().copied().collect()
    }

    /// Tasks of an array stand so now.
    pub(super) fn hear_tasks(
        &mut self,
        waiter: JobId,
        array: JobId,
        tasks: &TaskSet,
        standing: DependencyState,
    ) {
        if let Some(conditions) = self.conditions.get_mut(&waiter) {
            conditions.hear_tasks(array, tasks, standing);
        }
    }

    /// What one task of an array waits for when it waits on its own: of arrays that are followed
    /// task by task, the one task.
    pub(super) fn of_task(
        &self,
        array: JobId,
        task: u32,
        followed: &BTreeMap<JobId, TaskSet>,
        lost: bool,
    ) -> Conditions {
        let mut conditions = self.conditions.get(&array).cloned().unwrap_or_default();
        let list = conditions.dependencies.list.iter().zip(&mut conditions.answers);
        for (one, answer) in list.filter(|(one, _)| one.relation == DependencyKind::AfterCorr) {
            let done = followed.get(&one.job).is_some_and(|done| done.contains(task));
            *answer = match (done, lost) {
                (true, _) => Answer::Met,
                (false, true) => Answer::Never,
                (false, false) => Answer::Open,
            };
        }
        conditions.dependencies = conditions.dependencies.of_task(task);
        conditions
    }

    /// Not after which time it may start.
    pub(super) fn deadline(&self, job: JobId) -> Option<Time> {
        self.conditions.get(&job)?.deadline
    }

    /// Why it may not start at that time.
    pub(super) fn blocked(&self, job: JobId, now: Time) -> Option<Blocked> {
        let conditions = self.conditions.get(&job)?;
        let singletons = self.singletons.before(job).take(DEPENDENCIES_MAX);
        let singletons = singletons.filter(|_| conditions.dependencies.singleton);
        conditions.blocked(now, &singletons.collect::<Vec<_>>())
    }

    /// These of this family have not ended.
    pub(super) fn join(&mut self, family: &SingletonKey, jobs: impl IntoIterator<Item = JobId>) {
        self.singletons.join(family, jobs);
    }
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
            self.eligibility.singletons.leave(*job);
            self.again.remove(job);
            self.arrays.withdraw(*job);
            self.entered(*job);
        }
    }

    /// What is known by now of the others that this job waits for, to be kept with it.
    pub(super) fn told_so_far(&self, job: JobId) -> Option<Change> {
        let conditions = self.eligibility.conditions.get(&job)?;
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

    /// From now on this job waits for these conditions.
    pub(super) fn register(&mut self, job: JobId, conditions: Conditions) {
        if !conditions.is_empty() {
            self.eligibility.register(job, conditions);
        }
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
            if let Some(conditions) = self.eligibility.conditions.get_mut(&waiter) {
                conditions.hear(job, standing);
            }
            self.refresh(waiter, now);
        }
        if over && let Some(next) = self.eligibility.singletons.leave(job) {
            self.refresh(next, now);
        }
    }

    /// When [`Kernel::ring`] has something to do next.
    #[must_use]
    pub fn next_alarm(&self) -> Option<Time> {
        let first = self.eligibility.alarms.first().map(|(time, _)| *time);
        first.into_iter().chain(self.next_window_end()).min()
    }

    /// It is so late now: jobs whose time has come may start, those whose deadline has passed are
    /// cancelled, windows that have passed are forgotten.
    pub fn ring(&mut self, now: Time) -> Step {
        let mut step = self.pass_windows(now);
        while let Some((time, job)) = self.eligibility.alarms.first().copied() {
            if time > now {
                break;
            }
            self.eligibility.alarms.pop_first();
            let conditions = self.eligibility.conditions.get(&job);
            let late = conditions.and_then(|c| c.deadline).is_some_and(|deadline| deadline <= now);
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
        let mut conditions = self.eligibility.conditions.get(&id).cloned().unwrap_or_default();
        self.eligibility.forget(id);
        conditions.held = edit.held.unwrap_or(conditions.held);
        conditions.begin = edit.begin.unwrap_or(conditions.begin);
        conditions.deadline = edit.deadline.unwrap_or(conditions.deadline);
        self.register(id, conditions);
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
        let job = pointed(&queued, &self.points(now));
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
            let conditions = self.eligibility.conditions.get(&job.id);
            let waits_for_time = conditions.is_some_and(|c| c.begin.is_some());
            let may_start = self.keeps(job, now).is_none();
            let shown = self.queue.is_shown(job.id);
            if waits_for_time { shown && !may_start } else { shown != may_start }
        };
        self.queue.iter().find(wrong).map(|job| job.id)
    }
}

/// What is known of the others when a database is read: what was kept with the job, else how they
/// stand. Of one that is not in it, and of which nothing was kept, nobody knows how it ended.
#[must_use]
pub fn remembered_answers(
    dependencies: &Dependencies,
    told: &Told,
    mut standing: impl FnMut(&Dependency) -> Option<DependencyState>,
) -> Vec<Answer> {
    let kept = told.answers.iter().copied().chain(std::iter::repeat(Answer::Open));
    let answer = |(one, kept): (&Dependency, Answer)| match (kept, standing(one)) {
        (Answer::Open, Some(standing)) => one.relation.answer(standing),
        (Answer::Open, None) => one.relation.answer_of_unknown(),
        (known, _) => known,
    };
    dependencies.list.iter().zip(kept).map(answer).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
