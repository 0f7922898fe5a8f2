//! *Purpose*: forgets jobs that ended long ago.
//!
//! *Owns*: [`Old`], [`Kernel::forget`].
//!
//! *Promises*: one that waits or lives is kept; whoever waits for one keeps what it was told.
//!
//! *Not here*: which jobs are old (`actors::retention`).

use crate::job::ids::JobId;
use crate::job::state::StateWord;
use crate::kernel::change::{Change, Step};
use crate::kernel::state::Kernel;

/// A job that ended long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Old {
    /// The job.
    pub job: JobId,
    /// How it ended.
    pub word: StateWord,
    /// The array that it was a task of.
    pub array: Option<JobId>,
}

impl Kernel {
    /// Forgets ended jobs. One that waits or lives is kept. Whoever waits for one keeps what it was
    /// told.
    pub fn forget(&mut self, jobs: &[Old]) -> Step {
        let over = |old: &&Old| {
            let waits = self.queue.get(old.job).is_some();
            old.word.is_final() && !self.live.contains_key(&old.job) && !waits
        };
        let over: Vec<Old> = jobs.iter().filter(over).copied().collect();
        for Old { word, .. } in &over {
            if let Some(count) = self.ended.get_mut(word) {
                *count = count.saturating_sub(1);
            }
        }
        if over.is_empty() {
            return Step::default();
        }
        let mut step = Step::default();
        let named = over.iter().flat_map(|old| [Some(old.job), old.array]).flatten();
        self.keep_answers(named, &mut step);
        let jobs = over.into_iter().map(|old| old.job).collect();
        step.changes.push(Change::Forgotten { jobs });
        step
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::kernel::testing::KernelBuilder;
    use crate::kernel::testing::job::job;

    /// Job 1 lives on CPU 0, job 2 waits, job 3 is over.
    fn kernel() -> Kernel {
        let kernel = KernelBuilder::new().cpus(2).holds(1, job(), [0]).waits(2, job());
        kernel.over(3, StateWord::Failed).build()
    }

    #[test]
    fn only_ended_jobs_are_forgotten_and_no_longer_counted() {
        let mut kernel = kernel();
        let old = |id, word| Old { job: JobId(id), word, array: None };
        let all = [1, 2, 3].map(|id| old(id, StateWord::Failed));
        let step = kernel.forget(&all);
        assert_eq!(step.changes, [Change::Forgotten { jobs: vec![JobId(3)] }]);
        assert_eq!(kernel.snapshot().count(StateWord::Failed), 0);
        assert_eq!(kernel.forget(&[old(3, StateWord::Running)]), Step::default());
    }
}
