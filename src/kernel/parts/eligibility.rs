//! *Purpose*: which pending jobs wait for what, and who has to hear of whom.
//!
//! *Owns*: [`Eligibility`], [`DependencySnapshot`], [`Chain`].
//!
//! *Promises*: whoever waits for a job is found by it; a time is answered once.
//!
//! *Not here*: what conditions there are (`kernel::parts::conditions`), telling those who wait
//! (`kernel::commands::notify`), whose turn it is (`policy`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::job::array_spec::TaskSet;
use crate::job::dependency::{
    Answer, DEPENDENCIES_MAX, Dependencies, Dependency, DependencyKind, DependencyState, Told,
};
use crate::job::ids::JobId;
use crate::job::spec::SingletonKey;
use crate::kernel::parts::arrays::ArrayProgress;
use crate::kernel::parts::conditions::{Blocked, Conditions};
use crate::kernel::parts::singletons::Singletons;
use crate::time::Time;

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

/// Where that leads what a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// To jobs that wait for nobody.
    Ends,
    /// Back to the job.
    Closes,
    /// Further than is looked.
    TooLong,
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
    /// From now on this job waits for these conditions.
    pub(in crate::kernel) fn register(&mut self, job: JobId, conditions: Conditions) {
        if conditions.is_empty() {
            return;
        }
        for other in conditions.others() {
            self.waiters.entry(other).or_default().insert(job);
        }
        let times = conditions.begin.into_iter().chain(conditions.deadline);
        self.alarms.extend(times.map(|time| (time, job)));
        self.conditions.insert(job, conditions);
    }

    /// Nothing keeps it any more, or it is gone. Whoever it waited for finds nobody. Answers what
    /// it waited for.
    pub(in crate::kernel) fn forget(&mut self, job: JobId) -> Option<Conditions> {
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
    pub(in crate::kernel) fn waiters_of(&self, job: JobId) -> Vec<JobId> {
        self.waiters(job).collect()
    }

    /// The same, one by one.
    pub(in crate::kernel) fn waiters(&self, job: JobId) -> impl Iterator<Item = JobId> {
        self.waiters.get(&job).into_iter().flatten().copied()
    }

    /// Another job stands so now.
    pub(in crate::kernel) fn hear(
        &mut self,
        waiter: JobId,
        other: JobId,
        standing: DependencyState,
    ) {
        if let Some(conditions) = self.conditions.get_mut(&waiter) {
            conditions.hear(other, standing);
        }
    }

    /// Tasks of an array stand so now.
    pub(in crate::kernel) fn hear_tasks(
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
    pub(in crate::kernel) fn of_task(
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

    /// What it waits for, if for anything.
    pub(in crate::kernel) fn get(&self, job: JobId) -> Option<&Conditions> {
        self.conditions.get(&job)
    }

    /// Not after which time it may start.
    pub(in crate::kernel) fn deadline(&self, job: JobId) -> Option<Time> {
        self.conditions.get(&job)?.deadline
    }

    /// Why it may not start at that time.
    pub(in crate::kernel) fn blocked(&self, job: JobId, now: Time) -> Option<Blocked> {
        let conditions = self.conditions.get(&job)?;
        let singletons = self.singletons.before(job).take(DEPENDENCIES_MAX);
        let singletons = singletons.filter(|_| conditions.dependencies.singleton);
        conditions.blocked(now, &singletons.collect::<Vec<_>>())
    }

    /// These of this family have not ended.
    pub(in crate::kernel) fn join(
        &mut self,
        family: &SingletonKey,
        jobs: impl IntoIterator<Item = JobId>,
    ) {
        self.singletons.join(family, jobs);
    }

    /// It has ended, or never was: its family goes on without it. Answers who is next of that.
    pub(in crate::kernel) fn leave(&mut self, job: JobId) -> Option<JobId> {
        self.singletons.leave(job)
    }

    /// A job that can never start, and would rather be cancelled then, is looked at next.
    pub(in crate::kernel) fn give_up(&mut self, job: JobId) {
        if self.conditions.get(&job).is_some_and(|conditions| conditions.gives_up) {
            self.alarms.insert((Time(i64::MIN), job));
        }
    }

    /// Whether there is a singleton of this family.
    pub(in crate::kernel) fn is_family(&self, family: &SingletonKey) -> bool {
        self.family(family).next().is_some()
    }

    /// Those of this family that have not ended, where it has a singleton.
    pub(in crate::kernel) fn family(&self, family: &SingletonKey) -> impl Iterator<Item = JobId> {
        self.singletons.members(family)
    }

    /// The family of a job, where that has a singleton.
    pub(in crate::kernel) fn family_of(&self, job: JobId) -> Option<&SingletonKey> {
        self.singletons.family_of(job)
    }

    /// Those of its family that came before it.
    pub(in crate::kernel) fn before(&self, job: JobId) -> impl Iterator<Item = JobId> {
        self.singletons.before(job)
    }

    /// The first of its family that came after it.
    pub(in crate::kernel) fn next_of_family(&self, job: JobId) -> Option<JobId> {
        self.singletons.after(job)
    }

    /// When somebody's time comes next.
    pub(in crate::kernel) fn next_alarm(&self) -> Option<Time> {
        self.alarms.first().map(|(time, _)| *time)
    }

    /// The next whose time has come by now; each time is answered once.
    pub(in crate::kernel) fn next_due(&mut self, now: Time) -> Option<JobId> {
        self.next_alarm().filter(|time| *time <= now)?;
        self.alarms.pop_first().map(|(_, job)| job)
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
