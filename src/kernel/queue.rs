//! *Purpose*: pending jobs in the order of the policy.
//!
//! *Owns*: the queue and its index by id.
//!
//! *Promises*: a job stands in it once; priority first, then submit order.
//!
//! *Not here*: what may start (`kernel::policy`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::change::Queued;
use super::ids::JobId;

/// The pending jobs.
#[derive(Debug, Default)]
pub struct Queue {
    in_order: BTreeMap<(Reverse<i64>, JobId), Queued>,
    priority: HashMap<JobId, i64>,
}

impl Queue {
    /// Puts a job into its place.
    ///
    /// # Panics
    /// When it is in already: our bug.
    pub fn insert(&mut self, job: Queued) {
        let before = self.priority.insert(job.id, job.priority);
        assert!(before.is_none(), "job {} entered the queue twice", job.id);
        self.in_order.insert((Reverse(job.priority), job.id), job);
    }

    /// Takes a job out.
    pub fn remove(&mut self, id: JobId) -> Option<Queued> {
        let priority = self.priority.remove(&id)?;
        self.in_order.remove(&(Reverse(priority), id))
    }

    /// A pending job.
    #[must_use]
    pub fn get(&self, id: JobId) -> Option<&Queued> {
        self.in_order.get(&(Reverse(*self.priority.get(&id)?), id))
    }

    /// The jobs, first to run first.
    pub fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.in_order.values()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.in_order.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }
}
