//! *Purpose*: what has to happen before a pending job may start at all.
//!
//! *Owns*: [`Conditions`], [`Blocked`].
//!
//! *Promises*: a condition that is met stays met; one that can no longer be met is told apart from
//! one that is open.
//!
//! *Not here*: whose turn it is among those that may start (`policy`), when conditions
//! are looked at (`kernel::commands::enqueue`), how dependencies are written (`job::dependency`).

use crate::job::array_spec::TaskSet;
use crate::job::dependency::{Answer, Dependencies, DependencyState};
use crate::job::ids::JobId;
use crate::resources::partitions::Allows;
use crate::time::Time;

/// Why a pending job may not start, whatever is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Somebody holds it.
    Held,
    /// It is too early.
    BeginTime(Time),
    /// Others have to come first: those that are still open.
    Dependency(Vec<JobId>),
    /// Others did not become what it waits for.
    Never(Vec<JobId>),
    /// So many tasks of an array as are allowed at a time run already.
    TaskLimit(u32),
    /// So many tasks follow tasks that did not complete, or are none, of these arrays.
    NeverTasks(usize, Vec<JobId>),
    /// An operator holds it.
    HeldByOperator,
    /// Its partition is down.
    PartitionDown,
    /// Its partition is no longer there.
    PartitionGone,
    /// It asks for more than its partition allows one job by now.
    PartitionAllows(Allows),
}

/// What a job waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Whether somebody holds it.
    pub held: bool,
    /// Whether that is an operator, who alone may release it; looked at only where it is held.
    pub by_operator: bool,
    /// Not before.
    pub begin: Option<Time>,
    /// Not after: whoever waits then is cancelled, whoever runs then is stopped.
    pub deadline: Option<Time>,
    /// Whether it is cancelled when it can never start.
    pub gives_up: bool,
    /// Other jobs.
    pub dependencies: Dependencies,
    /// What is known of each, in the order of the list.
    pub answers: Vec<Answer>,
}

impl Conditions {
    /// Whether there is anything to wait for or to watch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.held
            && self.begin.is_none()
            && self.deadline.is_none()
            && self.dependencies == Dependencies::default()
    }

    /// Everybody whom it names.
    pub fn others(&self) -> impl Iterator<Item = JobId> {
        self.dependencies.list.iter().map(|one| one.job)
    }

    /// Tasks of an array stand so now. What is met or past hope stays so.
    pub fn hear_tasks(&mut self, array: JobId, tasks: &TaskSet, standing: DependencyState) {
        for (one, answer) in self.dependencies.list.iter().zip(&mut self.answers) {
            let meant = one.job == array && one.task.is_some_and(|task| tasks.contains(task));
            if meant && *answer == Answer::Open {
                *answer = one.relation.answer(standing);
            }
        }
    }

    /// Another job stands so now. What is met or past hope stays so.
    pub fn hear(&mut self, job: JobId, standing: DependencyState) {
        for (one, answer) in self.dependencies.list.iter().zip(&mut self.answers) {
            if one.job == job && one.task.is_none() && *answer == Answer::Open {
                *answer = one.relation.answer(standing);
            }
        }
    }

    /// Why it may not start now, while these of its kin that it waits for have not ended; `None`
    /// when it may.
    #[must_use]
    pub fn blocked(&self, now: Time, singletons: &[JobId]) -> Option<Blocked> {
        if self.held {
            return Some(if self.by_operator { Blocked::HeldByOperator } else { Blocked::Held });
        }
        let with = |wanted: Answer| -> Vec<JobId> {
            let all = self.dependencies.list.iter().zip(&self.answers);
            let named = all.filter(|(_, answer)| **answer == wanted).map(|(one, _)| one.job);
            let singletons = singletons.iter().copied().filter(|_| wanted == Answer::Open);
            named.chain(singletons).collect()
        };
        match self.dependencies.answer(&self.answers) {
            Answer::Never => return Some(Blocked::Never(with(Answer::Never))),
            Answer::Open => return Some(Blocked::Dependency(with(Answer::Open))),
            Answer::Met if !singletons.is_empty() => {
                return Some(Blocked::Dependency(singletons.to_vec()));
            }
            Answer::Met => {}
        }
        self.begin.filter(|begin| *begin > now).map(Blocked::BeginTime)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn waits_for(text: &str) -> Conditions {
        let dependencies = text.parse::<Dependencies>().unwrap();
        let answers = vec![Answer::Open; dependencies.list.len()];
        Conditions { dependencies, answers, ..Conditions::default() }
    }

    #[test]
    fn with_commas_all_must_be_met_and_one_that_never_can_is_enough_to_give_up() {
        let (one, two) = (JobId(1), JobId(2));
        let now = Time(0);
        let completed = DependencyState::Ended { completed: true };
        let mut job = waits_for("afterok:1:2");
        assert_eq!(job.blocked(now, &[]), Some(Blocked::Dependency(vec![one, two])));
        job.hear(one, completed);
        assert_eq!(job.blocked(now, &[]), Some(Blocked::Dependency(vec![two])));
        let mut unlucky = job.clone();
        unlucky.hear(two, DependencyState::Ended { completed: false });
        assert_eq!(unlucky.blocked(now, &[]), Some(Blocked::Never(vec![two])));
        job.hear(two, completed);
        assert_eq!(job.blocked(now, &[]), None);
        job.hear(two, DependencyState::Waiting);
        assert_eq!(job.blocked(now, &[]), None, "what was met stays met");
    }

    #[test]
    fn with_question_marks_one_is_enough() {
        let mut job = waits_for("afterok:1?afterok:2");
        job.hear(JobId(1), DependencyState::Ended { completed: false });
        assert!(matches!(job.blocked(Time(0), &[]), Some(Blocked::Dependency(_))));
        let mut lucky = job.clone();
        lucky.hear(JobId(2), DependencyState::Ended { completed: true });
        assert_eq!(lucky.blocked(Time(0), &[]), None);
        job.hear(JobId(2), DependencyState::Ended { completed: false });
        assert_eq!(job.blocked(Time(0), &[]), Some(Blocked::Never(vec![JobId(1), JobId(2)])));
    }

    #[test]
    fn a_singleton_waits_for_its_kin_too() {
        let mut job = waits_for("afterok:1,singleton");
        let both = Blocked::Dependency(vec![JobId(1), JobId(3)]);
        assert_eq!(job.blocked(Time(0), &[JobId(3)]), Some(both));
        job.hear(JobId(1), DependencyState::Ended { completed: true });
        let waits = Blocked::Dependency(vec![JobId(3)]);
        assert_eq!(job.blocked(Time(0), &[JobId(3)]), Some(waits));
        assert_eq!(job.blocked(Time(0), &[]), None);
    }

    #[test]
    fn a_held_or_early_job_may_not_start() {
        let early = Conditions { begin: Some(Time(5)), ..Conditions::default() };
        assert_eq!(early.blocked(Time(4), &[]), Some(Blocked::BeginTime(Time(5))));
        assert_eq!(early.blocked(Time(5), &[]), None);
        let held = Conditions { held: true, ..early };
        assert_eq!(held.blocked(Time(9), &[]), Some(Blocked::Held));
    }
}
