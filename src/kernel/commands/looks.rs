//! *Purpose*: units of which something outside of this server may make use.
//!
//! *Owns*: what the ledger holds back for them.
//!
//! *Promises*: a unit that somebody else uses, or of which nobody knows, is not given. What the
//! ledger says is never set aside by a look: a look only takes away.
//!
//! *Not here*: looking (`actors::device_watch`), finding what audits doubt (`actors::audit`), how
//! long a look is believed (`kernel::parts::looks`), what waits for one
//! (`kernel::views::pass_input`).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::job::ids::UnitId;
use crate::kernel::parts::looks::Doubts;
use crate::kernel::state::Kernel;
use crate::time::Time;

impl Kernel {
    /// The same kernel, which gives no unit of this resource before somebody has looked who else
    /// uses it.
    #[must_use]
    pub fn with_looks(mut self, resource: &str) -> Kernel {
        self.looks.watch(resource);
        self
    }

    /// A look found these units used by others, or not to be known of; all others are free as far
    /// as anybody can see. `true`: that is not what was known.
    pub fn looked(&mut self, found: BTreeMap<UnitId, Arc<str>>, now: Time) -> bool {
        let new = self.looks.look(found, now);
        self.hold_back();
        new
    }

    /// An audit doubts exactly these.
    pub(in crate::kernel) fn doubt(&mut self, doubted: Doubts) {
        self.looks.doubt(doubted);
        self.hold_back();
    }

    fn hold_back(&mut self) {
        let resources = self.ledger.inventory().all().iter().map(|one| Arc::clone(&one.name));
        for resource in resources.collect::<Vec<_>>() {
            let all = self.looks.not_given(&resource);
            self.ledger.hold_back(&resource, all);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::ids::{CpuId, JobId};
    use crate::job::request::GPU;
    use crate::kernel::check;
    use crate::kernel::testing::KernelBuilder;
    use crate::kernel::testing::job::job;
    use crate::policy::name::Policy;
    use crate::policy::pass::plan;
    use crate::resources::inventory::{Inventory, Resource, Stock};
    use crate::time::SECOND_US;
    use std::collections::BTreeSet;

    /// Two GPUs; job 1 wants one, job 2 both, job 3 none.
    fn kernel() -> Kernel {
        let gpus = Stock::Units([(UnitId(0), None), (UnitId(1), None)].into());
        let gpus = Resource { name: GPU.into(), stock: gpus };
        let inventory = Inventory::of((0..4).map(CpuId), None).and([gpus]).unwrap();
        let mut kernel = KernelBuilder::new().inventory(inventory).build().with_looks(GPU);
        kernel.enter([job().asks(GPU, 1), job().asks(GPU, 2), job()], Time(0));
        kernel
    }

    fn at(second: i64) -> Time {
        Time(second * SECOND_US)
    }

    fn pass(kernel: &mut Kernel, now: Time) -> Vec<i64> {
        let before: Vec<JobId> = kernel.live().keys().copied().collect();
        let policy: Policy = "fcfs+firstfit".parse().unwrap();
        let plan = plan(policy, &kernel.input(&policy, now));
        kernel.start(&plan, now);
        assert_eq!(check::all(kernel), Ok(()));
        let new = kernel.live().keys().filter(|job| !before.contains(job));
        new.map(|job| job.0).collect()
    }

    #[test]
    fn nothing_is_given_that_nobody_has_looked_at() {
        let mut kernel = kernel();
        assert_eq!(pass(&mut kernel, at(10)), [3], "who wants none does not wait for a look");
        assert_eq!(kernel.wants_look(at(10)), Some(BTreeSet::new()));
        kernel.looked(BTreeMap::new(), at(11));
        assert_eq!(kernel.wants_look(at(12)), None);
        assert_eq!(pass(&mut kernel, at(20)), [0; 0], "the look is too old");
        kernel.looked(BTreeMap::new(), at(20));
        assert_eq!(pass(&mut kernel, at(21)), [1]);
        assert_eq!(pass(&mut kernel, at(5)), [0; 0], "nor is a look of the future believed");
    }

    #[test]
    fn a_plan_that_is_older_than_its_look_starts_nothing() {
        let mut kernel = kernel();
        kernel.looked(BTreeMap::new(), at(10));
        let policy: Policy = "fcfs".parse().unwrap();
        let plan = plan(policy, &kernel.input(&policy, at(11)));
        assert_eq!(plan.start, [JobId(1)]);
        let (started, stale, _) = kernel.start(&plan, at(30));
        assert_eq!((started, stale), (0, 1));
    }

    #[test]
    fn what_somebody_else_uses_is_not_given_until_he_is_gone() {
        let mut kernel = kernel();
        let by: Arc<str> = "process 12 (python, ann) uses it".into();
        assert!(kernel.looked([(UnitId(0), Arc::clone(&by))].into(), at(10)));
        assert!(!kernel.looked([(UnitId(0), by)].into(), at(10)), "nothing new");
        assert_eq!(pass(&mut kernel, at(10)), [1, 3]);
        let gpus = &kernel.snapshot().others[0];
        assert_eq!(gpus.units[1].holder.map(|by| by.job), Some(JobId(1)), "it got the other one");
        assert!(kernel.wants_look(at(30)).is_some(), "job 2 waits, and one is not held");
        kernel.looked(BTreeMap::new(), at(30));
        assert_eq!(kernel.snapshot().others[0].free, Some(1));
    }
}
