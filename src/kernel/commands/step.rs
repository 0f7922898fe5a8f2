//! *Purpose*: notes what a running job says of its steps.
//!
//! *Owns*: [`Kernel::note_step`].
//!
//! *Promises*: only the attempt that lives has steps to tell of.
//!
//! *Not here*: the steps (`job::step`), which are nobody's to decide upon.

use std::sync::Arc;

use crate::job::ids::{Attempt, JobId};
use crate::job::step::Step as JobStep;
use crate::kernel::change::{Change, Step};
use crate::kernel::state::Kernel;

impl Kernel {
    /// Notes a step of the live attempt of this job; answers which that is.
    pub fn note_step(
        &self,
        job: JobId,
        n: Option<u32>,
        said: &Arc<JobStep>,
    ) -> (Option<Attempt>, Step) {
        let attempt = self.live().get(&job).map(|live| live.attempt());
        let Some(attempt) = attempt.filter(|own| n.is_none_or(|n| n == own.n)) else {
            return (None, Step::default());
        };
        let changes = vec![Change::StepNoted { attempt, step: Arc::clone(said) }];
        (Some(attempt), Step { changes, ..Step::default() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::kernel::testing::KernelBuilder;
    use crate::kernel::testing::job::job;
    use crate::time::Time;

    #[test]
    fn only_the_attempt_that_lives_has_steps() {
        let kernel = KernelBuilder::new().cpus(2).holds(1, job(), [0]).waits(2, job()).build();
        let (name, start) = ("a".into(), Time(5));
        let said = Arc::new(JobStep { no: 0, name, tasks: 1, cpus: 1, start, end: None });
        for n in [None, Some(1)] {
            let (noted, step) = kernel.note_step(JobId(1), n, &said);
            let attempt = Attempt { job: JobId(1), n: 1 };
            let change = Change::StepNoted { attempt, step: Arc::clone(&said) };
            assert_eq!((noted, step.changes), (Some(attempt), vec![change]));
        }
        for (id, n) in [(1, Some(2)), (2, None), (3, None)] {
            assert_eq!(kernel.note_step(JobId(id), n, &said), (None, Step::default()), "{id}");
        }
    }
}
