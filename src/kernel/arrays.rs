//! *Purpose*: job arrays: one entry in the queue that becomes a job for each task as it starts.
//!
//! *Owns*: [`Arrays`]: of each array that is not over, which tasks are left, how many run, how
//! those that ended did, and the kernel's dealing with it.
//!
//! *Promises*: a task is started once, lowest first; never more at a time than the array allows;
//! an array costs what its runs of tasks cost, however many they are.
//!
//! *Not here*: sets of tasks (`job::array_spec`), what a dependency asks for
//! (`kernel::parts::conditions`), whose turn it is (`policy`).
//!
//! **Split.** The array's own job stands for the tasks that are left. Starting one gives it the
//! next job id; the last one keeps the array's. `17_4` may also become a job of its own without
//! starting, when somebody holds, changes or cancels it alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::job::array_spec::{ArraySpec, TaskSet};
use crate::job::dependency::DependencyState;
use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::kernel::change::{Change, Step};
use crate::kernel::kernel::{Cancelled, Kernel};
use crate::kernel::parts::conditions::Blocked;
use crate::kernel::parts::queued::Queued;
use crate::time::Time;

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

    fn next(&self) -> Option<u32> {
        self.startable().first()
    }

    /// How often it may be started now.
    fn startable_tasks(&self) -> u32 {
        u32::try_from(self.startable().len()).unwrap_or(u32::MAX).min(self.room())
    }

    fn is_over(&self) -> bool {
        self.left.is_empty() && self.members.is_empty()
    }

    fn all_completed(&self) -> bool {
        self.completed.len() == self.spec.tasks.len()
    }

    /// How it stands as a whole.
    fn standing(&self) -> DependencyState {
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
    pub(super) fn load(&mut self, id: JobId, array: OpenArray) {
        let of_members = array.members.iter().map(|(task, member)| (member.job, (id, *task)));
        self.tasks.extend(of_members);
        self.further += beyond_the_first(array.left.len());
        self.open.insert(id, array);
    }

    fn enter(&mut self, id: JobId, spec: &ArraySpec) {
        self.entering.insert(id, OpenArray::new(spec.clone()));
    }

    /// It is not submitted after all.
    pub(super) fn withdraw(&mut self, id: JobId) {
        self.entering.remove(&id);
    }

    /// A durable submission stands in the queue from now on.
    pub(super) fn admit(&mut self, id: JobId) {
        if let Some(array) = self.entering.remove(&id) {
            self.load(id, array);
        }
    }

    /// Whether the job stands for tasks that are left.
    pub(super) fn stands_for_rest(&self, id: JobId) -> bool {
        self.open.get(&id).is_some_and(|array| !array.left.is_empty())
    }

    /// The array and the task that a job is, if it is one.
    #[must_use]
    pub fn task_of(&self, job: JobId) -> Option<(JobId, u32)> {
        self.tasks.get(&job).copied()
    }

    /// See [`super::view::Snapshot::further_tasks`].
    #[must_use]
    pub fn further(&self) -> u64 {
        self.further
    }

    /// The arrays, to look at.
    pub fn iter(&self) -> impl Iterator<Item = (JobId, &OpenArray)> {
        self.open.iter().map(|(id, array)| (*id, array))
    }

    /// Why a job may not start now, as far as its array goes.
    pub(super) fn blocked(&self, job: JobId) -> Option<Blocked> {
        if let Some(array) = self.open.get(&job).filter(|array| !array.left.is_empty()) {
            return array.blocked();
        }
        let (array, _) = self.tasks.get(&job)?;
        let array = self.open.get(array).filter(|array| array.room() == 0)?;
        Some(Blocked::TaskLimit(array.spec.limit.unwrap_or(0)))
    }

    /// How often a pass may start this job.
    pub(super) fn startable_tasks(&self, job: JobId) -> u32 {
        match self.open.get(&job) {
            Some(array) if !array.left.is_empty() => array.startable_tasks().max(1),
            _ => 1,
        }
    }

    /// How this array stands, while it is not over.
    pub(super) fn standing(&self, id: JobId) -> Option<DependencyState> {
        self.open.get(&id).map(OpenArray::standing)
    }

    /// How a task of it stands, while the array is not over.
    pub(super) fn task_standing(&self, id: JobId, task: u32) -> Option<DependencyState> {
        self.open.get(&id)?.task_standing(task)
    }

    /// How far the tasks of this array are, while it is not over.
    pub(super) fn partner(&self, id: JobId) -> Option<ArrayProgress> {
        self.open.get(&id).map(OpenArray::partner)
    }

    /// Of the arrays that this one follows task by task, the tasks that COMPLETED.
    pub(super) fn done_of(&self, id: JobId) -> BTreeMap<JobId, TaskSet> {
        let array = self.open.get(&id).or_else(|| self.entering.get(&id));
        array.map(|array| array.followed.clone()).unwrap_or_default()
    }

    fn take(&mut self, id: JobId, task: u32, member: Member) {
        let Some(array) = self.open.get_mut(&id) else { return };
        self.further -= beyond_the_first(array.left.len());
        array.take(task);
        self.further += beyond_the_first(array.left.len());
        array.members.insert(task, member);
        self.tasks.insert(member.job, (id, task));
    }

    /// Those that are left will not start any more.
    fn give_up(&mut self, id: JobId) -> TaskSet {
        let Some(array) = self.open.get_mut(&id) else { return TaskSet::default() };
        self.further -= beyond_the_first(array.left.len());
        (array.ready, array.lost) = (TaskSet::default(), TaskSet::default());
        std::mem::take(&mut array.left)
    }

    /// A task that is a job of its own has got CPUs.
    pub(super) fn granted(&mut self, job: JobId) -> Option<JobId> {
        let (id, task) = self.tasks.get(&job)?;
        let array = self.open.get_mut(id)?;
        let member = array.members.get_mut(task).filter(|member| !member.live)?;
        member.live = true;
        array.live += 1;
        Some(*id)
    }

    /// A task goes back into the queue, from its CPUs or after it had ended.
    pub(super) fn came_back(&mut self, job: JobId, part: Option<(JobId, u32)>) -> Option<JobId> {
        let (id, task) = self.tasks.get(&job).copied().or(part)?;
        let array = self.open.get_mut(&id)?;
        let before = array.members.insert(task, Member { job, live: false, started: true });
        array.live -= u32::from(before.is_some_and(|member| member.live));
        array.completed.remove(task);
        self.tasks.insert(job, (id, task));
        Some(id)
    }

    fn note(&mut self, job: JobId, (id, task): (JobId, u32), standing: DependencyState) {
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
    fn members(&self, id: JobId) -> Vec<JobId> {
        let members = self.open.get(&id).map(|array| array.members.values());
        members.into_iter().flatten().map(|member| member.job).collect()
    }

    /// What breaks the promises of this module, as a sentence.
    pub(super) fn broken(&self, is_live: impl Fn(JobId) -> bool) -> Option<String> {
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

/// See [`super::view::Snapshot::further_tasks`].
pub(super) fn beyond_the_first(tasks: usize) -> u64 {
    (tasks as u64).saturating_sub(1)
}

impl Kernel {
    /// An array was submitted under this id; it follows these others task by task.
    pub(super) fn enter_array(
        &mut self,
        id: JobId,
        spec: &ArraySpec,
        followed: &[(JobId, ArrayProgress)],
    ) {
        self.arrays.enter(id, spec);
        if let Some(array) = self.arrays.entering.get_mut(&id) {
            followed.iter().for_each(|(other, partner)| array.follow(*other, partner));
        }
    }

    /// At boot: an array follows others of which so much is known.
    pub(super) fn follow_again(&mut self, id: JobId, followed: &[(JobId, ArrayProgress)]) {
        if let Some(array) = self.arrays.open.get_mut(&id) {
            followed.iter().for_each(|(other, partner)| array.follow(*other, partner));
        }
    }

    /// The next task of an array, with the id that it gets; nothing has changed yet.
    pub(super) fn next_task(&self, id: JobId) -> Option<(u32, JobId)> {
        let array = self.arrays.open.get(&id).filter(|array| array.startable_tasks() > 0)?;
        Some((array.next()?, self.id_of_next(array, id)))
    }

    fn id_of_next(&self, array: &OpenArray, id: JobId) -> JobId {
        if array.left.len() == 1 { id } else { JobId(self.next_job) }
    }

    /// Makes a task that is left a job of its own: of `rest`, which stands in the queue. The last
    /// one takes its place.
    pub(super) fn split(
        &mut self,
        rest: Queued,
        (task, job): (u32, JobId),
        live: bool,
        principal: &Arc<str>,
        now: Time,
        step: &mut Step,
    ) {
        let id = rest.id;
        let last = job == id;
        if last {
            self.queue.remove(id);
        } else {
            self.next_job += 1;
            if let Some(again) = self.again.get(&id).cloned() {
                self.again.insert(job, again);
            }
        }
        self.arrays.take(id, task, Member { job, live, started: false });
        let Some(array) = self.arrays.open.get_mut(&id) else { return };
        array.live += u32::from(live);
        let left = ArraySpec { tasks: array.left.clone(), limit: array.spec.limit };
        let from = last.then_some(StateWord::Pending);
        let cause = ("split", Arc::clone(principal));
        let event = self.event((job, rest.attempts), (from, StateWord::Pending), cause, now);
        let (array, submitted) = (id, rest.submitted);
        step.changes.push(Change::Split { event, array, task, left, submitted });
        self.look_again(id, now);
    }

    /// Makes a task of an array that has not started a job of its own. Answers which job it is
    /// then; `None` when it is none that is left.
    pub fn split_off(
        &mut self,
        (id, task): (JobId, u32),
        principal: &Arc<str>,
        now: Time,
    ) -> (Option<JobId>, Step) {
        let mut step = Step::default();
        let array = self.arrays.open.get(&id).filter(|array| array.left.contains(task));
        let (Some(array), Some(rest)) = (array, self.queue.get(id).copied()) else {
            let member = self.arrays.open.get(&id).and_then(|array| array.members.get(&task));
            return (member.map(|member| member.job), step);
        };
        let (job, partner) = (self.id_of_next(array, id), array.followed.clone());
        let lost = array.lost.contains(task);
        let conditions = self.eligibility.of_task(id, task, &partner, lost);
        if job == id {
            self.eligibility.forget(id);
        }
        self.split(rest, (task, job), false, principal, now, &mut step);
        self.register(job, conditions);
        step.changes.extend(self.told_so_far(job));
        self.place(Queued { id: job, ..rest }, now);
        (Some(job), step)
    }

    /// An array's rest and its own tasks are shown to a pass as often as they may start.
    pub(super) fn look_again(&mut self, id: JobId, now: Time) {
        self.refresh(id, now);
        for job in self.arrays.members(id) {
            self.refresh(job, now);
        }
    }

    /// A job stands so now: whoever waits for it, for its array or for its task, hears of it.
    /// Answers the array that is over with it.
    #[must_use]
    pub(super) fn told(
        &mut self,
        job: JobId,
        standing: DependencyState,
        now: Time,
    ) -> Option<JobId> {
        let (id, tasks) = match self.arrays.task_of(job) {
            Some((id, task)) => {
                if job != id {
                    self.hear(job, standing, now);
                }
                self.arrays.note(job, (id, task), standing);
                (id, TaskSet::one(task))
            }
            None if self.arrays.stands_for_rest(job) => (job, self.arrays.give_up(job)),
            None => {
                self.hear(job, standing, now);
                return None;
            }
        };
        self.hear_tasks(id, &tasks, standing, now);
        self.look_again(id, now);
        let array = self.arrays.open.get(&id)?;
        if !array.is_over() {
            let standing = array.standing();
            if standing == DependencyState::Started {
                self.hear(id, standing, now);
            }
            return None;
        }
        let completed = array.all_completed();
        self.arrays.open.remove(&id);
        self.hear(id, DependencyState::Ended { completed }, now);
        Some(id)
    }

    fn hear_tasks(&mut self, id: JobId, tasks: &TaskSet, standing: DependencyState, now: Time) {
        for waiter in self.eligibility.waiters_of(id) {
            if let (DependencyState::Ended { completed }, Some(array)) =
                (standing, self.arrays.open.get_mut(&waiter))
            {
                tasks.iter().for_each(|task| array.heard(id, task, completed));
            }
            if let (DependencyState::Ended { completed }, Some(array)) =
                (standing, self.arrays.entering.get_mut(&waiter))
            {
                tasks.iter().for_each(|task| array.heard(id, task, completed));
            }
            self.eligibility.hear_tasks(waiter, id, tasks, standing);
            self.refresh(waiter, now);
        }
    }

    /// Cancels what is left of an array and every task of it; `None` when it is none, or over.
    pub(super) fn cancel_array(
        &mut self,
        id: JobId,
        principal: &Arc<str>,
        now: Time,
        step: &mut Step,
    ) -> Option<Cancelled> {
        self.arrays.open.get(&id)?;
        let mut all = self.arrays.members(id);
        if self.arrays.stands_for_rest(id) {
            all.push(id);
        }
        let outcomes = all.into_iter().map(|job| self.cancel_job(job, principal, now, step));
        let outcomes: Vec<Cancelled> = outcomes.collect();
        let worst = [Cancelled::Stopping, Cancelled::Ended];
        worst.into_iter().find(|outcome| outcomes.contains(outcome))
    }

    /// Cancels one task of an array, whether it is a job of its own or not.
    pub fn cancel_task(
        &mut self,
        task: (JobId, u32),
        principal: &Arc<str>,
        now: Time,
    ) -> (Cancelled, Step) {
        let (job, mut step) = self.split_off(task, principal, now);
        let outcome = match job {
            Some(job) => self.cancel_job(job, principal, now, &mut step),
            None => Cancelled::NotLive,
        };
        (outcome, step)
    }

    /// Arrays that are not over.
    #[must_use]
    pub fn arrays(&self) -> &Arrays {
        &self.arrays
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
