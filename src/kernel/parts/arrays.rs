//! *Purpose*: job arrays: one entry in the queue that becomes a job for each task as it starts.
//!
//! *Owns*: [`Arrays`]: of each array that is not over, which tasks are left, how many run, how
//! those that ended did.
//!
//! *Promises*: never more tasks at a time than the array allows; an array costs what its runs of
//! tasks cost, however many they are.
//!
//! *Not here*: sets of tasks (`job::array_spec`), what a dependency asks for
//! (`kernel::parts::conditions`), making a task a job (`kernel::commands::task`), whose turn it is
//! (`policy`).

use std::collections::BTreeMap;

use crate::job::array_spec::{ArraySpec, TaskSet};
use crate::job::dependency::DependencyState;
use crate::job::ids::JobId;
use crate::kernel::parts::conditions::Blocked;

/// How far the tasks of another array are, for `aftercorr`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrayProgress {
    /// Its tasks.
    pub all: TaskSet,
    /// Those that COMPLETED.
    pub completed: TaskSet,
    /// Those that may still complete.
    pub open: TaskSet,
}

/// A task that is a job of its own and has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Member {
    job: JobId,
    /// Whether it holds CPUs.
    live: bool,
    /// Whether its start was heard of.
    started: bool,
}

/// An array that is not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenArray {
    /// As it was submitted.
    pub spec: ArraySpec,
    /// Tasks that are no jobs yet.
    pub left: TaskSet,
    /// Tasks that COMPLETED.
    pub completed: TaskSet,
    members: BTreeMap<u32, Member>,
    /// How many of them hold CPUs.
    live: u32,
    /// For each array whose tasks these follow one by one, which of them COMPLETED.
    followed: BTreeMap<JobId, TaskSet>,
    /// Of those left, which such arrays let start, and which they never will; only with
    /// `followed`.
    ready: TaskSet,
    lost: TaskSet,
}

impl OpenArray {
    /// A new one.
    #[must_use]
    pub fn new(spec: ArraySpec) -> OpenArray {
        OpenArray { left: spec.tasks.clone(), spec, ..OpenArray::default() }
    }

    /// A task of it is this job, which holds CPUs or waits on its own.
    #[must_use]
    pub fn with(mut self, (task, job): (u32, JobId), live: bool, started: bool) -> OpenArray {
        self.members.insert(task, Member { job, live, started });
        self.live += u32::from(live);
        self
    }

    fn room(&self) -> u32 {
        self.spec.limit.map_or(u32::MAX, |limit| limit.saturating_sub(self.live))
    }

    fn startable(&self) -> &TaskSet {
        if self.followed.is_empty() { &self.left } else { &self.ready }
    }

    /// The next task that may start, and whether it is the last that is left.
    pub(in crate::kernel) fn next(&self) -> Option<(u32, bool)> {
        let task = self.startable().first().filter(|_| self.startable_tasks() > 0)?;
        Some((task, self.left.len() == 1))
    }

    /// How often it may be started now.
    fn startable_tasks(&self) -> u32 {
        u32::try_from(self.startable().len()).unwrap_or(u32::MAX).min(self.room())
    }

    /// Whether no task is left or has still to end.
    pub(in crate::kernel) fn is_over(&self) -> bool {
        self.left.is_empty() && self.members.is_empty()
    }

    /// Whether every task COMPLETED.
    pub(in crate::kernel) fn all_completed(&self) -> bool {
        self.completed.len() == self.spec.tasks.len()
    }

    /// How it stands as a whole.
    pub(in crate::kernel) fn standing(&self) -> DependencyState {
        let all_started = self.left.is_empty() && self.members.values().all(|m| m.started);
        if all_started { DependencyState::Started } else { DependencyState::Waiting }
    }

    fn task_standing(&self, task: u32) -> Option<DependencyState> {
        if self.left.contains(task) {
            return Some(DependencyState::Waiting);
        }
        if let Some(member) = self.members.get(&task) {
            return Some(if member.started {
                DependencyState::Started
            } else {
                DependencyState::Waiting
            });
        }
        let completed = self.completed.contains(task);
        self.spec.tasks.contains(task).then_some(DependencyState::Ended { completed })
    }

    /// The job that a task of it is, if it is one of its own.
    pub(in crate::kernel) fn member(&self, task: u32) -> Option<JobId> {
        self.members.get(&task).map(|member| member.job)
    }

    /// Of the arrays that it follows task by task, the tasks that COMPLETED.
    pub(in crate::kernel) fn followed(&self) -> &BTreeMap<JobId, TaskSet> {
        &self.followed
    }

    /// Whether a task that is left waits for one that will never COMPLETE.
    pub(in crate::kernel) fn is_lost(&self, task: u32) -> bool {
        self.lost.contains(task)
    }

    fn blocked(&self) -> Option<Blocked> {
        if self.left.is_empty() || self.startable_tasks() > 0 {
            return None;
        }
        if !self.startable().is_empty() {
            return Some(Blocked::TaskLimit(self.spec.limit.unwrap_or(0)));
        }
        let others: Vec<JobId> = self.followed.keys().copied().collect();
        match self.lost.len() == self.left.len() {
            true => Some(Blocked::NeverTasks(self.lost.len(), others)),
            false => Some(Blocked::Dependency(others)),
        }
    }

    /// Why a task that is left may not start. One that is not left has started, or waits as a job
    /// of its own.
    fn task_blocked(&self, task: u32) -> Option<Blocked> {
        let others = || self.followed.keys().copied().collect();
        match (self.left.contains(task), self.startable().contains(task)) {
            (false, _) => None,
            (true, true) => {
                let limit = self.spec.limit.filter(|_| self.room() == 0);
                limit.map(Blocked::TaskLimit)
            }
            (true, false) if self.lost.contains(task) => Some(Blocked::NeverTasks(1, others())),
            (true, false) => Some(Blocked::Dependency(others())),
        }
    }

    /// These tasks follow those of another array, of which so much is known.
    fn follow(&mut self, other: JobId, partner: &ArrayProgress) {
        self.followed.insert(other, partner.completed.clone());
        for task in self.left.iter().collect::<Vec<_>>() {
            if !partner.completed.contains(task) && !partner.open.contains(task) {
                self.lost.insert(task);
            }
        }
        self.ready = TaskSet::default();
        for task in self.left.iter().collect::<Vec<_>>() {
            self.may_be_ready(task);
        }
    }

    fn may_be_ready(&mut self, task: u32) {
        if self.left.contains(task) && self.followed.values().all(|done| done.contains(task)) {
            self.ready.insert(task);
        }
    }

    /// A task that these follow has ended.
    fn heard(&mut self, other: JobId, task: u32, completed: bool) {
        let Some(done) = self.followed.get_mut(&other) else { return };
        if completed {
            done.insert(task);
            self.may_be_ready(task);
        } else if self.left.contains(task) {
            self.lost.insert(task);
        }
    }

    fn take(&mut self, task: u32) {
        self.left.remove(task);
        self.ready.remove(task);
        self.lost.remove(task);
    }

    fn partner(&self) -> ArrayProgress {
        let mut open = self.left.clone();
        for task in self.members.keys() {
            open.insert(*task);
        }
        ArrayProgress { all: self.spec.tasks.clone(), completed: self.completed.clone(), open }
    }
}

/// All arrays that are not over.
#[derive(Debug, Default)]
pub struct Arrays {
    open: BTreeMap<JobId, OpenArray>,
    /// Submitted, not durable yet.
    entering: BTreeMap<JobId, OpenArray>,
    /// Of which array a job is which task.
    tasks: BTreeMap<JobId, (JobId, u32)>,
    /// Tasks left beyond the first of each array: jobs that are no entries of their own.
    further: u64,
}

impl Arrays {
    /// Takes one up at boot.
    pub(in crate::kernel) fn load(&mut self, id: JobId, array: OpenArray) {
        let of_members = array.members.iter().map(|(task, member)| (member.job, (id, *task)));
        self.tasks.extend(of_members);
        self.further += beyond_the_first(array.left.len());
        self.open.insert(id, array);
    }

    /// One is submitted under this id; it follows these others task by task.
    pub(in crate::kernel) fn enter(
        &mut self,
        id: JobId,
        spec: &ArraySpec,
        followed: &[(JobId, ArrayProgress)],
    ) {
        let mut array = OpenArray::new(spec.clone());
        followed.iter().for_each(|(other, partner)| array.follow(*other, partner));
        self.entering.insert(id, array);
    }

    /// From now on an array follows these others and nobody else.
    pub(in crate::kernel) fn follow_others(
        &mut self,
        id: JobId,
        followed: &[(JobId, ArrayProgress)],
    ) {
        if let Some(array) = self.open.get_mut(&id) {
            array.followed = BTreeMap::new();
            (array.ready, array.lost) = (TaskSet::default(), TaskSet::default());
        }
        self.follow(id, followed);
    }

    /// How many tasks a pending job stands for.
    pub(in crate::kernel) fn tasks_left(&self, id: JobId) -> u64 {
        self.open.get(&id).map_or(1, |array| (array.left.len() as u64).max(1))
    }

    /// An array follows others of which so much is known.
    pub(in crate::kernel) fn follow(&mut self, id: JobId, followed: &[(JobId, ArrayProgress)]) {
        if let Some(array) = self.open.get_mut(&id) {
            followed.iter().for_each(|(other, partner)| array.follow(*other, partner));
        }
    }

    /// One that is not over.
    pub(in crate::kernel) fn get(&self, id: JobId) -> Option<&OpenArray> {
        self.open.get(&id)
    }

    /// It is over.
    pub(in crate::kernel) fn remove(&mut self, id: JobId) {
        self.open.remove(&id);
    }

    /// Tasks of `other` have ended so: an array that follows them one by one hears of it, also one
    /// that is not durable yet.
    pub(in crate::kernel) fn heard(
        &mut self,
        id: JobId,
        other: JobId,
        tasks: &TaskSet,
        completed: bool,
    ) {
        for array in self.open.get_mut(&id).into_iter().chain(self.entering.get_mut(&id)) {
            tasks.iter().for_each(|task| array.heard(other, task, completed));
        }
    }

    /// It is not submitted after all.
    pub(in crate::kernel) fn withdraw(&mut self, id: JobId) {
        self.entering.remove(&id);
    }

    /// A durable submission stands in the queue from now on.
    pub(in crate::kernel) fn admit(&mut self, id: JobId) {
        if let Some(array) = self.entering.remove(&id) {
            self.load(id, array);
        }
    }

    /// Whether the job stands for tasks that are left.
    pub(in crate::kernel) fn stands_for_rest(&self, id: JobId) -> bool {
        self.open.get(&id).is_some_and(|array| !array.left.is_empty())
    }

    /// The array and the task that a job is, if it is one.
    #[must_use]
    pub fn task_of(&self, job: JobId) -> Option<(JobId, u32)> {
        self.tasks.get(&job).copied()
    }

    /// Tasks left beyond the first of each array: jobs that are no entries of the queue.
    #[must_use]
    pub fn further(&self) -> u64 {
        self.further
    }

    /// The arrays, to look at.
    pub fn iter(&self) -> impl Iterator<Item = (JobId, &OpenArray)> {
        self.open.iter().map(|(id, array)| (*id, array))
    }

    /// Why a job may not start now, as far as its array goes.
    pub(in crate::kernel) fn blocked(&self, job: JobId) -> Option<Blocked> {
        if let Some(array) = self.open.get(&job).filter(|array| !array.left.is_empty()) {
            return array.blocked();
        }
        let (array, _) = self.tasks.get(&job)?;
        let array = self.open.get(array).filter(|array| array.room() == 0)?;
        Some(Blocked::TaskLimit(array.spec.limit.unwrap_or(0)))
    }

    /// The same of one task of an array that this job may stand for; `None` of the task: of all.
    pub(in crate::kernel) fn task_blocked(&self, job: JobId, task: Option<u32>) -> Option<Blocked> {
        let array = self.open.get(&job).filter(|array| !array.left.is_empty());
        match array.zip(task) {
            Some((array, task)) => array.task_blocked(task),
            None => self.blocked(job),
        }
    }

    /// How often a pass may start this job.
    pub(in crate::kernel) fn startable_tasks(&self, job: JobId) -> u32 {
        match self.open.get(&job) {
            Some(array) if !array.left.is_empty() => array.startable_tasks().max(1),
            _ => 1,
        }
    }

    /// How this array stands, while it is not over.
    pub(in crate::kernel) fn standing(&self, id: JobId) -> Option<DependencyState> {
        self.open.get(&id).map(OpenArray::standing)
    }

    /// How a task of it stands, while the array is not over.
    pub(in crate::kernel) fn task_standing(&self, id: JobId, task: u32) -> Option<DependencyState> {
        self.open.get(&id)?.task_standing(task)
    }

    /// How far the tasks of this array are, while it is not over.
    pub(in crate::kernel) fn partner(&self, id: JobId) -> Option<ArrayProgress> {
        self.open.get(&id).map(OpenArray::partner)
    }

    /// Of the arrays that this one follows task by task, the tasks that COMPLETED.
    pub(in crate::kernel) fn done_of(&self, id: JobId) -> BTreeMap<JobId, TaskSet> {
        let array = self.open.get(&id).or_else(|| self.entering.get(&id));
        array.map(|array| array.followed.clone()).unwrap_or_default()
    }

    /// A task that is left is this job from now on, which holds CPUs or waits on its own. Answers
    /// the tasks that are left then.
    pub(in crate::kernel) fn take(
        &mut self,
        id: JobId,
        (task, job): (u32, JobId),
        live: bool,
    ) -> Option<ArraySpec> {
        let array = self.open.get_mut(&id)?;
        self.further -= beyond_the_first(array.left.len());
        array.take(task);
        self.further += beyond_the_first(array.left.len());
        array.members.insert(task, Member { job, live, started: false });
        array.live += u32::from(live);
        self.tasks.insert(job, (id, task));
        Some(ArraySpec { tasks: array.left.clone(), limit: array.spec.limit })
    }

    /// Those that are left will not start any more.
    pub(in crate::kernel) fn give_up(&mut self, id: JobId) -> TaskSet {
        let Some(array) = self.open.get_mut(&id) else { return TaskSet::default() };
        self.further -= beyond_the_first(array.left.len());
        (array.ready, array.lost) = (TaskSet::default(), TaskSet::default());
        std::mem::take(&mut array.left)
    }

    /// A task that is a job of its own has got CPUs.
    pub(in crate::kernel) fn granted(&mut self, job: JobId) -> Option<JobId> {
        let (id, task) = self.tasks.get(&job)?;
        let array = self.open.get_mut(id)?;
        let member = array.members.get_mut(task).filter(|member| !member.live)?;
        member.live = true;
        array.live += 1;
        Some(*id)
    }

    /// A task goes back into the queue, from its CPUs or after it had ended.
    pub(in crate::kernel) fn came_back(
        &mut self,
        job: JobId,
        part: Option<(JobId, u32)>,
    ) -> Option<JobId> {
        let (id, task) = self.tasks.get(&job).copied().or(part)?;
        let array = self.open.get_mut(&id)?;
        let before = array.members.insert(task, Member { job, live: false, started: true });
        array.live -= u32::from(before.is_some_and(|member| member.live));
        array.completed.remove(task);
        self.tasks.insert(job, (id, task));
        Some(id)
    }

    /// A task stands so now.
    pub(in crate::kernel) fn note(
        &mut self,
        job: JobId,
        (id, task): (JobId, u32),
        standing: DependencyState,
    ) {
        let Some(array) = self.open.get_mut(&id) else { return };
        match standing {
            DependencyState::Waiting => {}
            DependencyState::Started => {
                if let Some(member) = array.members.get_mut(&task) {
                    member.started = true;
                }
            }
            DependencyState::Ended { completed } => {
                self.tasks.remove(&job);
                let gone = array.members.remove(&task);
                array.live -= u32::from(gone.is_some_and(|member| member.live));
                if completed {
                    array.completed.insert(task);
                }
            }
        }
    }

    /// The tasks of an array that are jobs of their own and have not ended.
    pub(in crate::kernel) fn members(&self, id: JobId) -> Vec<JobId> {
        let members = self.open.get(&id).map(|array| array.members.values());
        members.into_iter().flatten().map(|member| member.job).collect()
    }

    /// What breaks the promises of this module, as a sentence.
    pub(in crate::kernel) fn broken(&self, is_live: impl Fn(JobId) -> bool) -> Option<String> {
        for (id, array) in &self.open {
            if let Some(task) = array.members.keys().find(|task| array.left.contains(**task)) {
                return Some(format!("task {id}_{task} is left and is a job of its own"));
            }
            if let Some(task) = array.completed.iter().find(|task| array.left.contains(*task)) {
                return Some(format!("task {id}_{task} is left and has COMPLETED"));
            }
            let live = array.members.values().filter(|member| is_live(member.job)).count();
            if live != array.live as usize {
                return Some(format!("array {id} counts {} live tasks of {live}", array.live));
            }
            if array.spec.limit.is_some_and(|limit| array.live > limit) {
                return Some(format!("array {id} runs {live} tasks, {} allowed", array.spec));
            }
            if array.is_over() {
                return Some(format!("array {id} is over and is kept"));
            }
        }
        let further: u64 = self.open.values().map(|a| beyond_the_first(a.left.len())).sum();
        (further != self.further).then(|| format!("{further} tasks wait, {} said", self.further))
    }
}

/// Tasks beyond the first, which are no entries of the queue of their own.
pub(in crate::kernel) fn beyond_the_first(tasks: usize) -> u64 {
    (tasks as u64).saturating_sub(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_an_array_is_noticed() {
        let id = JobId(1);
        let mut arrays = Arrays::default();
        arrays.enter(id, &"0-3%2".parse().unwrap(), &[]);
        arrays.admit(id);
        arrays.take(id, (0, JobId(2)), true);
        arrays.take(id, (1, JobId(3)), true);
        let broken = |arrays: &Arrays| arrays.broken(|_| true);
        assert_eq!(broken(&arrays), None);
        arrays.open.get_mut(&id).unwrap().left.insert(0);
        assert!(broken(&arrays).unwrap().contains("is left and is a job"));
        arrays.open.get_mut(&id).unwrap().left.remove(0);
        arrays.open.get_mut(&id).unwrap().live = 1;
        assert!(broken(&arrays).unwrap().contains("counts 1 live"));
        arrays.open.get_mut(&id).unwrap().live = 2;
        arrays.open.get_mut(&id).unwrap().spec.limit = Some(1);
        assert!(broken(&arrays).unwrap().contains("allowed"));
        arrays.open.get_mut(&id).unwrap().spec.limit = None;
        arrays.further += 1;
        assert!(broken(&arrays).unwrap().contains("tasks wait"));
    }
}
