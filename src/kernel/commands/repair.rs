//! *Purpose*: what the kernel does about findings of an audit.
//!
//! *Owns*: [`Findings`], [`Kernel::mend`].
//!
//! *Promises*: it fails closed: only CPUs of a job that is not live are reclaimed, only the CPUs
//! that a live attempt holds are restored, and whatever is doubted is not handed out. Each finding
//! is checked again here, since the world went on while the audit looked.
//!
//! *Not here*: finding (`actors::audit`), telling people (`actors::recovery`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::job::ids::{JobId, UnitId};
use crate::kernel::change::{Change, Step};
use crate::kernel::state::Kernel;
use crate::time::Time;

/// Why a unit is held back.
const DOUBTED: &str = "an audit found a process that may use it";

/// What an audit wants mended, as of one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Units that may be in use by something the ledger does not know. The whole set: one that
    /// an earlier audit doubted and this one does not is handed out again.
    pub doubted: Vec<(Arc<str>, UnitId)>,
    /// Jobs that are over, of which nothing lives, and the units the database says they hold.
    pub orphans: BTreeMap<JobId, Vec<(Arc<str>, UnitId)>>,
    /// Live jobs whose CPUs the database does not have as the ledger does.
    pub forgotten: Vec<JobId>,
}

impl Kernel {
    /// Acts on an audit.
    pub fn mend(&mut self, findings: Findings, now: Time) -> Step {
        let mut step = Step::default();
        for (job, units) in findings.orphans {
            if !self.live.contains_key(&job) {
                step.changes.push(Change::Reclaimed { job, units, time: now });
            }
        }
        for job in findings.forgotten {
            let live = self.live.get(&job);
            if let Some((live, held)) = live.and_then(|l| Some((l, l.state.allocation()?))) {
                let (cpus, rest) = (held.cpus().to_vec(), held.rest().to_vec());
                step.changes.push(Change::Restored { attempt: live.attempt(), cpus, rest });
            }
        }
        let why: Arc<str> = DOUBTED.into();
        let doubted = findings.doubted.into_iter().map(|unit| (unit, Arc::clone(&why)));
        self.doubt(doubted.collect());
        step
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::ids::CpuId;
    use crate::job::state::StateWord;
    use crate::kernel::check;
    use crate::kernel::testing::KernelBuilder;
    use crate::kernel::testing::job::job;

    /// Job 1 lives on CPU 0, job 2 waits, job 3 is over.
    fn kernel() -> Kernel {
        let kernel = KernelBuilder::new().cpus(2).holds(1, job(), [0]).waits(2, job());
        kernel.over(3, StateWord::Failed).build()
    }

    fn orphan(id: i64) -> Findings {
        Findings {
            orphans: [(JobId(id), vec![("cpu".into(), CpuId(1))])].into(),
            ..Findings::default()
        }
    }

    #[test]
    fn only_a_job_that_is_not_live_is_reclaimed() {
        let mut kernel = kernel();
        let over = kernel.mend(orphan(3), Time(5)).changes;
        let units = vec![("cpu".into(), CpuId(1))];
        assert_eq!(over, [Change::Reclaimed { job: JobId(3), units, time: Time(5) }]);
        assert_eq!(kernel.mend(orphan(1), Time(5)), Step::default());
        assert_eq!(check::all(&kernel), Ok(()));
    }

    #[test]
    fn only_a_live_attempt_is_restored_and_with_the_ledgers_cpus() {
        let mut kernel = kernel();
        let forgotten = vec![JobId(1), JobId(2), JobId(3)];
        let step = kernel.mend(Findings { forgotten, ..Findings::default() }, Time(5));
        let attempt = crate::job::ids::Attempt { job: JobId(1), n: 1 };
        let (cpus, rest) = (vec![CpuId(0)], Vec::new());
        assert_eq!(step.changes, [Change::Restored { attempt, cpus, rest }]);
    }

    #[test]
    fn a_doubted_cpu_is_not_handed_out() {
        let mut kernel = kernel();
        kernel.mend(
            Findings { doubted: vec![("cpu".into(), CpuId(1))], ..Findings::default() },
            Time(5),
        );
        assert!(!kernel.wants_a_plan());
        assert_eq!(kernel.snapshot().held_back, [CpuId(1)]);
        assert_eq!(check::all(&kernel), Ok(()));
        kernel.mend(Findings::default(), Time(6));
        assert!(kernel.wants_a_plan());
    }
}
