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
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, btree_map, btree_set};
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::RangeBounds;

use super::change::Queued;
use super::ids::JobId;
use super::view::PLAN_DEPTH;

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
    /// The first job of each bucket, by CPUs: what does not fit is passed over in one step.
    heads: BTreeMap<u32, BTreeMap<Place, Kind>>,
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
            let heads = self.heads.entry(kind.cpus).or_default();
            if let Some(head) = head {
                heads.remove(&(Reverse(kind.priority), head));
            }
            heads.insert((Reverse(kind.priority), job.id), kind);
        }
    }

    /// Takes a job out.
    pub fn remove(&mut self, id: JobId) -> Option<Queued> {
        let job = self.jobs.remove(&id)?;
        let kind = kind(&job);
        let bucket = self.buckets.get_mut(&kind)?;
        bucket.remove(&id);
        let next = bucket.first().copied();
        let heads = self.heads.get_mut(&kind.cpus)?;
        if heads.remove(&(Reverse(kind.priority), id)).is_some() {
            match next {
                Some(next) => drop(heads.insert((Reverse(kind.priority), next), kind)),
                None => drop(self.buckets.remove(&kind)),
            }
        }
        if heads.is_empty() {
            self.heads.remove(&kind.cpus);
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
        self.merged(.., None, |_, _| true)
    }

    /// All that a pass with so many free CPUs could start, and the first job that is too wide,
    /// in order, at most [`PLAN_DEPTH`] of them.
    pub fn candidates(&self, free: u32) -> impl Iterator<Item = &Queued> {
        let too_wide = self.heads.range((Excluded(free), Unbounded));
        let first = too_wide.filter_map(|(_, heads)| heads.first_key_value()).min_by_key(|h| *h.0);
        let head = first.map(|(place, kind)| (*place, *kind));
        let fits = move |kind: &Kind, given| given <= free / kind.cpus.max(1);
        self.merged(..=free, head, fits).take(PLAN_DEPTH)
    }

    /// The jobs of all buckets of these sizes, and one more, in order. A bucket goes on while
    /// `more` says so, told how many it has given.
    fn merged(
        &self,
        sizes: impl RangeBounds<u32>,
        one_more: Option<(Place, Kind)>,
        more: impl Fn(&Kind, u32) -> bool,
    ) -> impl Iterator<Item = &Queued> {
        let heads = self.heads.range(sizes).filter_map(|(_, heads)| Source::heads(heads.iter()));
        let alone = |(next, kind)| Source { next, kind, given: 0, rest: Rest::Nobody };
        let mut sources: BinaryHeap<Source<'_>> = heads.chain(one_more.map(alone)).collect();
        std::iter::from_fn(move || {
            let Source { next, kind, given, rest } = sources.pop()?;
            let given = given + 1;
            let rest = match rest {
                Rest::Heads(heads) => {
                    sources.extend(Source::heads(heads));
                    None
                }
                Rest::Bucket(rest) => Some(rest),
                Rest::Nobody => return self.jobs.get(&next.1),
            };
            if more(&kind, given) {
                let behind = || Some(self.buckets.get(&kind)?.range((Excluded(next.1), Unbounded)));
                let mut rest = rest.or_else(behind)?;
                if let Some(id) = rest.next() {
                    let next = (next.0, *id);
                    sources.push(Source { next, kind, given, rest: Rest::Bucket(rest) });
                }
            }
            self.jobs.get(&next.1)
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

/// Where the next job may come from.
struct Source<'a> {
    /// Whom it gives next.
    next: Place,
    kind: Kind,
    /// How many of this kind were given before.
    given: u32,
    rest: Rest<'a>,
}

/// What is behind the next one.
enum Rest<'a> {
    /// Other heads of buckets; behind each of them is its bucket.
    Heads(btree_map::Iter<'a, Place, Kind>),
    /// Others of its kind.
    Bucket(btree_set::Range<'a, JobId>),
    Nobody,
}

impl<'a> Source<'a> {
    fn heads(mut heads: btree_map::Iter<'a, Place, Kind>) -> Option<Source<'a>> {
        let (next, kind) = heads.next()?;
        Some(Source { next: *next, kind: *kind, given: 0, rest: Rest::Heads(heads) })
    }
}

/// The greatest is whose next job stands first: [`BinaryHeap`] gives the greatest.
impl Ord for Source<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.next.cmp(&self.next)
    }
}

impl PartialOrd for Source<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Source<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.next == other.next
    }
}

impl Eq for Source<'_> {}

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
