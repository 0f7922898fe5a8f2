//! *Purpose*: what jobs ask for beside CPUs, each request once and by a number.
//!
//! *Owns*: [`Requests`], and what each of them means to planning.
//!
//! *Promises*: a request has one number as long as any job has it; memory follows the jobs that
//! have not ended, not history.
//!
//! *Not here*: what there is (`resources::inventory`), whether a job may ask for it
//! (`kernel::admission`).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::slots::Slots;
use crate::job::request::Request;
use crate::kernel::parts::queued::Queued;
use crate::policy::input::RequestId;
use crate::resources::capacity::{Demand, Part};
use crate::resources::inventory::Inventory;

/// All requests that jobs have which have not ended.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    inventory: Arc<Inventory>,
    numbers: HashMap<Arc<Request>, RequestId>,
    asked: Slots<Arc<Request>>,
    /// What planning counts of request `n`, at `n - 1`. A pass keeps the ones that it began with.
    parts: Arc<Vec<Box<[Part]>>>,
}

impl Requests {
    /// From now on they are asked of this inventory.
    pub(in crate::kernel) fn over(&mut self, inventory: &Inventory) {
        self.inventory = Arc::new(inventory.clone());
        let parts = |request: &Option<Arc<Request>>| match request {
            Some(request) => self.inventory.parts(request),
            None => Box::default(),
        };
        self.parts = Arc::new(self.asked.all().iter().map(parts).collect());
    }

    /// The number of this request, given out if need be.
    pub fn number(&mut self, request: &Request) -> RequestId {
        if request.is_empty() {
            return RequestId::NOTHING;
        }
        if let Some(number) = self.numbers.get(request) {
            return *number;
        }
        let request = Arc::new(request.clone());
        let number = self.asked.put(Arc::clone(&request));
        let parts = Arc::make_mut(&mut self.parts);
        parts.resize(self.asked.all().len(), Box::default());
        parts[number as usize - 1] = self.inventory.parts(&request);
        self.numbers.insert(request, RequestId(number));
        RequestId(number)
    }

    /// The request of this number; nothing is asked for by one that is none.
    #[must_use]
    pub fn get(&self, id: RequestId) -> Option<&Arc<Request>> {
        self.asked.get(id.0)
    }

    /// What each means to planning, by number from 1.
    #[must_use]
    pub fn parts(&self) -> &Arc<Vec<Box<[Part]>>> {
        &self.parts
    }

    /// All that a job takes.
    #[must_use]
    pub fn demand(&self, job: &Queued) -> Demand<'_> {
        let place = (job.rest.0 as usize).checked_sub(1);
        let rest = place.and_then(|place| self.parts.get(place)).map_or(&[][..], |parts| parts);
        Demand { cpus: job.cpus, regions: job.placement.regions, rest }
    }

    /// Whether any of them asks for this resource.
    #[must_use]
    pub fn any_of(&self, resource: &str) -> bool {
        self.asked.all().iter().flatten().any(|request| request.of(resource) > 0)
    }

    /// Whether it is time to look who still has them: a constant part of the work of those that
    /// came since.
    #[must_use]
    pub(in crate::kernel) fn are_many(&self) -> bool {
        self.asked.are_many()
    }

    /// Forgets all but these.
    pub(in crate::kernel) fn keep(&mut self, used: &BTreeSet<RequestId>) {
        self.asked.keep(&used.iter().map(|id| id.0).collect());
        self.numbers.retain(|_, number| used.contains(number));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn memory(bytes: u64) -> Request {
        Request::default().with("memory", bytes)
    }

    #[test]
    fn a_request_has_one_number_until_nobody_has_it() {
        let mut requests = Requests::default();
        let numbers = [0, 7, 8, 7].map(|bytes| requests.number(&memory(bytes)).0);
        assert_eq!(numbers, [0, 1, 2, 1]);
        requests.keep(&BTreeSet::from([RequestId(2)]));
        assert_eq!((requests.number(&memory(8)).0, requests.get(RequestId(1))), (2, None));
        assert_eq!((requests.number(&memory(9)).0, requests.number(&memory(7)).0), (1, 3));
        let job = Queued { cpus: 2, rest: RequestId(1), ..Queued::default() };
        assert_eq!(requests.demand(&job).rest, [Part::of_memory(9)]);
    }

    #[test]
    fn under_another_inventory_they_mean_what_is_there_then() {
        use crate::resources::inventory::{Resource, Stock};
        let mut requests = Requests::default();
        let id = requests.number(&Request::default().with("license/m", 2));
        let job = Queued { cpus: 1, rest: id, ..Queued::default() };
        assert_eq!(requests.demand(&job).rest[0].resource, Part::NOWHERE);
        let licences = Resource { name: "license/m".into(), stock: Stock::Amount(Some(3)) };
        requests.over(&Inventory::default().and([licences]).unwrap());
        assert_eq!(requests.demand(&job).rest[0].resource, 2);
    }
}
