//! *Purpose*: how the jobs stand that others wait for.
//!
//! *Owns*: what a new job has to wait for.
//!
//! *Promises*: a job of which neither the kernel nor the database has told is not guessed at.
//!
//! *Not here*: who waits for whom (`kernel::parts::eligibility`).

use std::sync::Arc;

use crate::job::dependency::{Answer, Dependencies, Dependency, DependencyKind, DependencyState};
use crate::job::ids::JobId;
use crate::job::spec::JobSpec;
use crate::kernel::parts::arrays::ArrayProgress;
use crate::kernel::parts::conditions::Conditions;
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::state::Kernel;

impl Kernel {
    /// Jobs that new ones wait for, and of which neither this kernel nor `elsewhere` knows how they
    /// stand: one that ended a moment ago, or is just entering. The database will know.
    #[must_use]
    pub fn unknown_others(&self, specs: &[Arc<JobSpec>], elsewhere: &DependencySnapshot) -> bool {
        self.are_unknown(specs.iter().flat_map(|spec| &spec.dependencies.list), elsewhere)
    }

    /// The same of jobs that one is to wait for from now on.
    pub fn are_unknown<'a>(
        &self,
        named: impl IntoIterator<Item = &'a Dependency>,
        elsewhere: &DependencySnapshot,
    ) -> bool {
        let known = |one: &Dependency| {
            let followed = one.relation == DependencyKind::AfterCorr;
            self.standing_of(one).is_some()
                || match one.task {
                    Some(task) => elsewhere.tasks.contains_key(&(one.job, task)),
                    None if followed => elsewhere.partners.contains_key(&one.job),
                    None => elsewhere.ended.contains_key(&one.job),
                }
        };
        let mut singletons = elsewhere.singletons.values().flatten();
        named.into_iter().any(|one| !known(one))
            || singletons.any(|job| self.standing(*job).is_none())
    }

    /// How the job or the task stands that a dependency names; `None`: it is over, or entering.
    fn standing_of(&self, one: &Dependency) -> Option<DependencyState> {
        match one.task {
            Some(task) => self.arrays.task_standing(one.job, task),
            None => self.standing(one.job),
        }
    }

    /// The arrays that a new one follows task by task.
    pub(in crate::kernel) fn array_progress(
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

    pub(in crate::kernel) fn standing(&self, job: JobId) -> Option<DependencyState> {
        if let Some(standing) = self.arrays.standing(job) {
            return Some(standing);
        }
        if self.unstored.contains(&job) {
            return None;
        }
        if self.queue.get(job).is_some() {
            return Some(DependencyState::Waiting);
        }
        let live = self.live.get(&job)?;
        let started = live.state.handle().is_some();
        Some(if started { DependencyState::Started } else { DependencyState::Waiting })
    }

    /// What a new job has to wait for, except for its kin.
    pub(in crate::kernel) fn conditions_of(
        &self,
        spec: &JobSpec,
        elsewhere: &DependencySnapshot,
    ) -> Conditions {
        Conditions {
            held: spec.held,
            by_operator: false,
            gives_up: spec.kill_on_invalid_dependency,
            begin: spec.begin,
            deadline: spec.deadline,
            dependencies: spec.dependencies.clone(),
            answers: self.answers_of(&spec.dependencies, elsewhere),
        }
    }

    /// What is known by now of each that is waited for.
    pub(in crate::kernel) fn answers_of(
        &self,
        dependencies: &Dependencies,
        elsewhere: &DependencySnapshot,
    ) -> Vec<Answer> {
        let answer = |one: &Dependency| {
            let ended = match one.task {
                Some(task) => elsewhere.tasks.get(&(one.job, task)),
                None => elsewhere.ended.get(&one.job),
            };
            let ended = ended.map(|completed| DependencyState::Ended { completed: *completed });
            let standing = self.standing_of(one).or(ended).unwrap_or(DependencyState::Waiting);
            one.relation.answer(standing)
        };
        dependencies.list.iter().map(answer).collect()
    }
}
