//! *Purpose*: pending jobs in the order of the policy.
//!
//! *Owns*: the queue, its index by id, its buckets.
//!
//! *Promises*: a job stands in it once; priority first, then submit order; looking for what a
//! pass could start costs as much as it finds, however many wait.
//!
//! *Not here*: what may start (`kernel::policy`).
//!
//! **Buckets.** Jobs of equal priority, CPUs and limit are alike to a pass: when one of them
//! cannot start, none behind it can, since free CPUs only become fewer. So a pass needs of each
//! bucket no more jobs than would fit and one that does not, whether ten wait or a million.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, btree_set};
use std::ops::Bound::{Excluded, Unbounded};

use super::change::Queued;
use super::ids::JobId;
use super::view::{PLAN_DEPTH, PLAN_LOOKS};

/// What a pass cannot tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    priority: i64,
    cpus: u32,
    limit_s: Option<u32>,
}

/// Where a job stands: smaller runs first.
type Place = (Reverse<i64>, JobId);

/// The pending jobs.
#[derive(Debug, Default)]
pub struct Queue {
    jobs: BTreeMap<JobId, Queued>,
    buckets: HashMap<Kind, BTreeSet<JobId>>,
    /// The first job of each bucket.
    heads: BTreeMap<Place, Kind>,
}

fn kind(job: &Queued) -> Kind {
    Kind { priority: job.priority, cpus: job.cpus, limit_s: job.limit_s }
}

impl Queue {
    /// Puts a job into its place.
    ///
    /// # Panics
    /// When it is in already: our bug.
    pub fn insert(&mut self, job: Queued) {
        let before = self.jobs.insert(job.id, job);
        assert!(before.is_none(), "job {} entered the queue twice", job.id);
        let kind = kind(&job);
        let bucket = self.buckets.entry(kind).or_default();
        let head = bucket.first().copied();
        bucket.insert(job.id);
        if head.is_none_or(|head| job.id < head) {
            if let Some(head) = head {
                self.heads.remove(&(Reverse(kind.priority), head));
            }
            self.heads.insert((Reverse(kind.priority), job.id), kind);
        }
    }

    /// Takes a job out.
    pub fn remove(&mut self, id: JobId) -> Option<Queued> {
        let job = self.jobs.remove(&id)?;
        let kind = kind(&job);
        let bucket = self.buckets.get_mut(&kind)?;
        bucket.remove(&id);
        let next = bucket.first().copied();
        if self.heads.remove(&(Reverse(kind.priority), id)).is_some() {
            match next {
                Some(next) => drop(self.heads.insert((Reverse(kind.priority), next), kind)),
                None => drop(self.buckets.remove(&kind)),
            }
        }
        Some(job)
    }

    /// A pending job.
    #[must_use]
    pub fn get(&self, id: JobId) -> Option<&Queued> {
        self.jobs.get(&id)
    }

    /// The jobs, first to run first.
    pub fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.merged(|_, _| true).filter_map(|(id, _)| self.jobs.get(&id))
    }

    /// All that a pass with so many free CPUs could start, and the first job that is too wide,
    /// in order; at most [`PLAN_DEPTH`] of them, after [`PLAN_LOOKS`] looks.
    pub fn candidates(&self, free: u32) -> impl Iterator<Item = &Queued> {
        let mut head_is_known = false;
        self.merged(move |kind, given| given <= free / kind.cpus.max(1))
            .take(PLAN_LOOKS)
            .filter(move |(_, kind)| {
                kind.cpus <= free || !std::mem::replace(&mut head_is_known, true)
            })
            .take(PLAN_DEPTH)
            .filter_map(|(id, _)| self.jobs.get(&id))
    }

    /// The jobs of all buckets in order, by id and kind: a bucket of which only the head is of
    /// interest costs a step in `heads` and nothing else. A bucket goes on while `more` says so,
    /// told how many it has given.
    fn merged(&self, more: impl Fn(&Kind, u32) -> bool) -> impl Iterator<Item = (JobId, Kind)> {
        let mut heads = self.heads.iter().peekable();
        let mut begun: BinaryHeap<Begun<'_>> = BinaryHeap::new();
        std::iter::from_fn(move || {
            let (place, kind, given, rest) = match (heads.peek(), begun.peek()) {
                (Some((head, _)), first) if first.is_none_or(|first| **head < first.next) => {
                    let (head, kind) = heads.next()?;
                    (*head, *kind, 1, None)
                }
                _ => {
                    let Begun { next, kind, given, rest } = begun.pop()?;
                    (next, kind, given + 1, Some(rest))
                }
            };
            if more(&kind, given) {
                let mut rest = match rest {
                    Some(rest) => rest,
                    None => self.buckets.get(&kind)?.range((Excluded(place.1), Unbounded)),
                };
                if let Some(id) = rest.next() {
                    begun.push(Begun { next: (place.0, *id), kind, given, rest });
                }
            }
            Some((place.1, kind))
        })
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

/// A bucket that has given its head.
struct Begun<'a> {
    /// Whom it gives next.
    next: Place,
    kind: Kind,
    /// How many it has given.
    given: u32,
    rest: btree_set::Range<'a, JobId>,
}

/// The greatest is whose next job stands first: [`BinaryHeap`] gives the greatest.
impl Ord for Begun<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.next.cmp(&self.next)
    }
}

impl PartialOrd for Begun<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Begun<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.next == other.next
    }
}

impl Eq for Begun<'_> {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::kernel::policy::plan;
    use crate::kernel::time::Time;
    use crate::kernel::view::{Busy, QueueView};

    fn job(id: i64, (priority, cpus, limit): (i64, u32, u32)) -> Queued {
        let limit_s = (limit > 0).then_some(limit * 100);
        Queued { id: JobId(id), cpus, limit_s, priority, attempts: 0, submitted: Time(id) }
    }

    fn jobs() -> impl Strategy<Value = Vec<(i64, u32, u32)>> {
        prop::collection::vec((0..3i64, 1..9u32, 0..4u32), 0..60)
    }

    proptest! {
        #[test]
        fn the_order_is_priority_then_id_whatever_came_and_went(
            jobs in jobs(),
            gone in prop::collection::vec(0..60i64, 0..30),
        ) {
            let mut queue = Queue::default();
            let mut plain = BTreeMap::new();
            // Not in the order of ids: buckets must find their heads by themselves.
            for (n, what) in jobs.into_iter().enumerate() {
                let id = (n as i64 * 37) % 61;
                queue.insert(job(id, what));
                plain.insert((Reverse(what.0), JobId(id)), job(id, what));
            }
            for id in gone {
                let removed = queue.remove(JobId(id));
                let at = removed.map(|job| (Reverse(job.priority), job.id));
                prop_assert_eq!(removed, at.and_then(|at| plain.remove(&at)));
            }
            let all: Vec<Queued> = plain.values().copied().collect();
            prop_assert_eq!(queue.iter().copied().collect::<Vec<_>>(), all);
            prop_assert_eq!(queue.len(), plain.len());
        }

        #[test]
        fn a_pass_over_the_candidates_starts_what_a_pass_over_all_would(
            jobs in jobs(),
            free in 0..9u32,
            busy in prop::collection::vec((1..3u32, 0..4u32), 0..4),
        ) {
            let mut queue = Queue::default();
            for (n, what) in jobs.into_iter().enumerate() {
                queue.insert(job(n as i64, what));
            }
            let busy: Vec<Busy> = busy
                .into_iter()
                .map(|(cpus, limit)| Busy { cpus, since: Time(0), limit_s: Some(limit * 100 + 50) })
                .collect();
            let total = free + busy.iter().map(|b| b.cpus).sum::<u32>();
            let view = |queue: Vec<Queued>| QueueView { total, free, busy: busy.clone(), queue };
            let of_all = plan(&view(queue.iter().copied().collect()), Time(1));
            let of_few = plan(&view(queue.candidates(free).copied().collect()), Time(1));
            prop_assert_eq!(of_all, of_few);
        }
    }

    #[test]
    fn of_a_million_equal_jobs_a_pass_sees_what_fits_and_one_more() {
        let mut queue = Queue::default();
        for id in 0..10_000 {
            queue.insert(job(id, (0, 2, 1)));
        }
        queue.insert(job(10_000, (1, 9, 0)));
        let seen: Vec<i64> = queue.candidates(5).map(|job| job.id.0).collect();
        assert_eq!(seen, [10_000, 0, 1, 2]);
    }
}
