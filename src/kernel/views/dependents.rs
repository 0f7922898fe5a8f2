//! *Purpose*: who waits for a job.
//!
//! *Owns*: [`Dependents`], and how many are looked at.
//!
//! *Promises*: those are named that may not start because of it; whoever waits for it no more, or
//! does not need it any more, is not. So many are looked at that nobody else waits long.
//!
//! *Not here*: for whom a job waits (`kernel::parts::conditions`), who may know of them (`api`).

use crate::job::dependency::Answer;
use crate::job::ids::JobId;
use crate::kernel::state::Kernel;

/// The most that are named: as many as one question to the database has.
pub const DEPENDENTS_MAX: usize = 1_000;
/// The most that are looked at: some ms.
const LOOKS_MAX: usize = 10_000;

/// Who is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A job, or an array as a whole with each of its tasks.
    Job(JobId),
    /// One task of an array, which is a job of its own.
    Task(JobId, (JobId, u32)),
}

/// Who waits, by the numbers of the jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependents {
    /// These do.
    pub jobs: Vec<JobId>,
    /// There may be more.
    pub is_more: bool,
}

impl Kernel {
    /// Who waits for this.
    #[must_use]
    pub fn dependents(&self, of: Awaited) -> Dependents {
        let (own, array) = match of {
            Awaited::Job(job) => (job, None),
            Awaited::Task(job, task) => (job, Some(task)),
        };
        let mut found = Dependents::default();
        // Of the array's last task both are one.
        let array = array.filter(|(array, _)| *array != own).map(|(array, _)| array);
        let waiters = [Some(own), array].into_iter().flatten();
        let waiters = waiters.flat_map(|job| self.eligibility.waiters(job));
        for (looked, waiter) in waiters.enumerate() {
            if looked == LOOKS_MAX || found.jobs.len() > DEPENDENTS_MAX {
                found.is_more = true;
                break;
            }
            if self.needs(waiter, of) {
                found.jobs.push(waiter);
            }
        }
        found.jobs.sort_unstable();
        found.jobs.dedup();
        found.is_more |= found.jobs.len() > DEPENDENTS_MAX;
        found.jobs.truncate(DEPENDENTS_MAX);
        found
    }

    /// Whether a job may not start, and this has a part in that.
    fn needs(&self, waiter: JobId, of: Awaited) -> bool {
        let Some(conditions) = self.eligibility.get(waiter) else { return false };
        let (all, answers) = (&conditions.dependencies, &conditions.answers);
        if all.answer(answers) == Answer::Met {
            return false;
        }
        let unmet = all.list.iter().zip(answers).filter(|(_, answer)| **answer != Answer::Met);
        unmet.map(|(one, _)| one).any(|one| match of {
            Awaited::Job(job) => one.job == job,
            Awaited::Task(_, (array, task)) if one.job == array => {
                one.task.is_none_or(|named| named == task)
            }
            Awaited::Task(job, _) => one.job == job,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::ids::Attempt;
    use crate::job::outcome::Handle;
    use crate::kernel::testing::job::job;
    use crate::kernel::testing::{KernelBuilder, exit};
    use crate::kernel::transition::Fact;
    use crate::policy::name::Policy;
    use crate::policy::pass::plan;
    use crate::time::Time;

    fn ids(all: &[i64]) -> Vec<JobId> {
        all.iter().copied().map(JobId).collect()
    }

    fn of(kernel: &Kernel, awaited: Awaited) -> Vec<JobId> {
        let found = kernel.dependents(awaited);
        assert!(!found.is_more);
        found.jobs
    }

    #[test]
    fn those_are_named_that_may_not_start_because_of_it() {
        let mut kernel = KernelBuilder::new().cpus(1).build();
        let plain = ["afterok:1", "afterany:1:2", "afterok:1?afterok:2", "afterany:2"];
        kernel.enter([job(), job().held()], Time(0));
        kernel.enter(plain.map(|text| job().after(text)), Time(0));
        assert_eq!(of(&kernel, Awaited::Job(JobId(1))), ids(&[3, 4, 5]));
        assert_eq!(of(&kernel, Awaited::Job(JobId(2))), ids(&[4, 5, 6]));
        assert_eq!(of(&kernel, Awaited::Job(JobId(9))), ids(&[]));
        let policy = Policy::default();
        let planned = plan(policy, &kernel.input(&policy, Time(1)));
        let (_, _, step) = kernel.start(&planned, Time(1));
        kernel.made_durable(step.effects);
        let attempt = Attempt { job: JobId(1), n: 1 };
        let started = Fact::Started(Handle { pid: 7, start_time: Time(1) });
        kernel.fact(attempt, started, Time(1)).unwrap();
        let step = kernel.fact(attempt, Fact::Exited(exit(0, Time(2))), Time(2)).unwrap();
        kernel.made_durable(step.effects);
        assert_eq!(of(&kernel, Awaited::Job(JobId(1))), ids(&[]), "it is met");
        assert_eq!(of(&kernel, Awaited::Job(JobId(2))), ids(&[4, 6]), "one of two was enough");
    }

    #[test]
    fn of_a_task_those_wait_too_that_wait_for_its_array() {
        let mut kernel = KernelBuilder::new().cpus(1).build();
        kernel.enter([job().array("0-3").held()], Time(0));
        let texts = ["afterok:1_0", "afterok:1_1", "afterok:1"];
        kernel.enter(texts.map(|text| job().after(text)), Time(0));
        assert_eq!(of(&kernel, Awaited::Job(JobId(1))), ids(&[2, 3, 4]));
        let task = |task| Awaited::Task(JobId(9), (JobId(1), task));
        assert_eq!(of(&kernel, task(0)), ids(&[2, 4]));
        assert_eq!(of(&kernel, task(3)), ids(&[4]));
        let last = Awaited::Task(JobId(1), (JobId(1), 1));
        assert_eq!(of(&kernel, last), ids(&[3, 4]), "its number is that of its array");
    }

    #[test]
    fn many_are_told_as_some_and_that_there_are_more() {
        let mut kernel = KernelBuilder::new().cpus(1).build();
        kernel.enter([job().held()], Time(0));
        kernel.enter((0..DEPENDENTS_MAX).map(|_| job().after("afterok:1")), Time(0));
        assert!(!kernel.dependents(Awaited::Job(JobId(1))).is_more);
        kernel.enter([job().after("afterok:1")], Time(0));
        let found = kernel.dependents(Awaited::Job(JobId(1)));
        assert_eq!((found.jobs.len(), found.is_more), (DEPENDENTS_MAX, true));
    }
}
