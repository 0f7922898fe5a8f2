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

use crate::job::request::Request;
use crate::kernel::parts::queued::Queued;
use crate::policy::input::RequestId;
use crate::resources::capacity::{Demand, Part};
use crate::resources::inventory::Inventory;

/// Requests that are kept without a look at who still has them: what they take is not worth one.
const SLACK: usize = 1_024;

/// All requests that jobs have which have not ended.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    inventory: Arc<Inventory>,
    numbers: HashMap<Arc<Request>, RequestId>,
    /// Request `n` stands at `n - 1`; `None`: to be given out again.
    list: Vec<Option<Arc<Request>>>,
    /// What planning counts of each, at the same place. A pass keeps the ones that it began with.
    parts: Arc<Vec<Box<[Part]>>>,
    unused: Vec<u32>,
    /// Requests that somebody had when that was looked at last.
    kept: usize,
}

impl Requests {
    /// From now on they are asked of this inventory.
    pub(in crate::kernel) fn over(&mut self, inventory: &Inventory) {
        self.inventory = Arc::new(inventory.clone());
        let parts = |request: &Option<Arc<Request>>| match request {
            Some(request) => self.inventory.parts(request),
            None => Box::default(),
        };
        self.parts = Arc::new(self.list.iter().map(parts).collect());
    }

    /// The number of this request, given out if need be.
    pub fn number(&mut self, request: &Request) -> RequestId {
        if request.is_empty() {
            return RequestId::NOTHING;
        }
        if let Some(number) = self.numbers.get(request) {
            return *number;
        }
        let number = self.unused.pop().unwrap_or(self.list.len() as u32 + 1);
        let (at, request) = (number as usize - 1, Arc::new(request.clone()));
        let parts = Arc::make_mut(&mut self.parts);
        if at == self.list.len() {
            self.list.push(None);
            parts.push(Box::default());
        }
        parts[at] = self.inventory.parts(&request);
        self.list[at] = Some(Arc::clone(&request));
        self.numbers.insert(request, RequestId(number));
        RequestId(number)
    }

    /// The request of this number; nothing is asked for by one that is none.
    #[must_use]
    pub fn get(&self, id: RequestId) -> Option<&Arc<Request>> {
        self.list.get((id.0 as usize).checked_sub(1)?)?.as_ref()
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
        self.list.iter().flatten().any(|request| request.of(resource) > 0)
    }

    /// Whether it is time to look who still has them: a constant part of the work of those that
    /// came since.
    #[must_use]
    pub(in crate::kernel) fn are_many(&self) -> bool {
        self.list.len() - self.unused.len() > 2 * self.kept + SLACK
    }

    /// Forgets all but these.
    pub(in crate::kernel) fn keep(&mut self, used: &BTreeSet<RequestId>) {
        for (place, number) in self.list.iter_mut().zip(1..) {
            if place.is_some() && !used.contains(&RequestId(number)) {
                *place = None;
                self.unused.push(number);
            }
        }
        self.numbers.retain(|_, number| used.contains(number));
        self.kept = used.len();
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
    fn requests_that_nobody_has_do_not_pile_up() {
        let mut requests = Requests::default();
        for n in 1..50_000 {
            let number = requests.number(&memory(n));
            if requests.are_many() {
                requests.keep(&BTreeSet::from([number]));
            }
        }
        assert!(requests.list.len() <= 2 * SLACK, "{}", requests.list.len());
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
