//! *Purpose*: units of which something outside of this server may make use.
//!
//! *Owns*: what the ledger holds back for them, and what waits for a look.
//!
//! *Promises*: a unit that somebody else uses, or of which nobody knows, is not given; nor is any
//! of its resource when the last look is older than
//! [`LOOK_VALID_S`](crate::kernel::parts::looks::LOOK_VALID_S). What the ledger says is never set
//! aside by a look: a look only takes away.
//!
//! *Not here*: looking (`actors::device_watch`), finding what audits doubt (`actors::audit`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::kernel::Kernel;
use crate::job::ids::UnitId;
use crate::kernel::parts::looks::Doubts;
use crate::resources::capacity::Capacity;
use crate::time::Time;

impl Kernel {
    /// The same kernel, which gives no unit of this resource before somebody has looked who else
    /// uses it.
    #[must_use]
    pub fn with_looks(mut self, resource: &str) -> Kernel {
        self.looks.watch(resource);
        self
    }

    /// Whether a look is needed before a waiting job can be given what it asks for; then which
    /// units of the resource are held by jobs, and need none.
    #[must_use]
    pub fn wants_look(&self, now: Time) -> Option<BTreeSet<UnitId>> {
        let resource = self.looks.unlooked(now)?;
        let asked = self.queue.has_candidates() && self.requests.any_of(resource);
        let held = self.ledger.held_of(resource)?;
        let all_held = held.len() >= self.ledger.configured_of(resource);
        (asked && !all_held).then_some(held)
    }

    /// A look found these units used by others, or not to be known of; all others are free as far
    /// as anybody can see. `true`: that is not what was known.
    pub fn looked(&mut self, found: BTreeMap<UnitId, Arc<str>>, now: Time) -> bool {
        let new = self.looks.look(found, now);
        self.hold_back();
        new
    }

    /// An audit doubts exactly these.
    pub(super) fn doubt(&mut self, doubted: Doubts) {
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

    /// What is free as far as the ledger says, and may not be given before somebody has looked.
    pub(super) fn unlooked(&self, now: Time) -> Capacity {
        let place = self.looks.unlooked(now).and_then(|name| self.ledger.inventory().find(name));
        let Some(place) = place else { return Capacity::default() };
        let free = self.ledger.free_room();
        let cells = self.ledger.inventory().cells(place, None);
        cells.each().fold(Capacity::default(), |all, cell| all.with(cell, free.cell(cell)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::job::ids::{CpuId, JobId};
    use crate::job::request::{GPU, Request};
    use crate::kernel::check;
    use crate::kernel::kernel::BootContext;
    use crate::kernel::parts::queued::Queued;
    use crate::kernel::parts::requests::Requests;
    use crate::kernel::restore::Memory;
    use crate::policy::name::Policy;
    use crate::policy::pass::plan;
    use crate::resources::inventory::{Inventory, Resource, Stock};
    use crate::time::SECOND_US;

    /// Two GPUs; job 1 wants one, job 2 both, job 3 none.
    fn kernel() -> Kernel {
        let gpus = Stock::Units([(UnitId(0), None), (UnitId(1), None)].into());
        let gpus = Resource { name: GPU.into(), stock: gpus };
        let inventory = Inventory::of((0..4).map(CpuId), None).and([gpus]).unwrap();
        let mut requests = Requests::default();
        let job = |(id, rest)| Queued { id: JobId(id), cpus: 1, rest, ..Queued::default() };
        let pending = [1, 2, 0].map(|n| requests.number(&Request::default().with(GPU, n)));
        let pending = (1..).zip(pending).map(job).collect();
        let boot_context = BootContext { boot_id: "b".into(), nonce: "n".into() };
        let memory = Memory { pending, requests, next_job: 9, ..Memory::default() };
        Kernel::load(inventory, boot_context, memory).unwrap().with_looks(GPU)
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
