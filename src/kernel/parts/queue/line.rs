//! *Purpose*: the line of a pass, from the heads of buckets on.
//!
//! *Owns*: [`BucketCursor`], where jobs come from; [`Candidates`], what of them a pass could start.
//!
//! *Promises*: what is left is counted as the pass counts it, quotas included.
//!
//! *Not here*: buckets (`kernel::parts::queue`), the pass (`policy`).

use std::collections::btree_map::Range;
use std::ops::Bound::{Excluded, Unbounded};

use super::buckets::{Bucket, BucketKey, Buckets};
use super::pending::PLAN_DEPTH;
use crate::job::ids::JobId;
use crate::kernel::parts::priority::Priorities;
use crate::policy::input::{PassInput, PendingJob, Quotas, spend};
use crate::policy::order::{Place, Rule};
use crate::resources::capacity::{Capacity, RegionSet};
use crate::time::Time;

/// How a line is looked at.
#[derive(Clone, Copy)]
pub(super) struct RankContext<'a> {
    pub(super) rule: Rule,
    pub(super) input: &'a PassInput,
    pub(super) points: &'a Priorities,
}

impl RankContext<'_> {
    fn place(&self, job: &PendingJob) -> Place {
        self.rule.place(job, self.input.now)
    }

    /// Whether room was made for it, so that it stands before the line.
    fn claims(&self, job: JobId) -> bool {
        self.input.claims.iter().any(|claim| claim.job == job)
    }
}

/// The front of the line, and what is left when those of it that can have started.
pub(super) struct Candidates {
    pub(super) line: Vec<PendingJob>,
    pub(super) left: Capacity,
    quotas: Quotas,
    /// The regions that somebody waits for who goes before the others.
    pub(super) headed: RegionSet,
}

impl Candidates {
    pub(super) fn new(input: &PassInput) -> Candidates {
        let (left, quotas) = (input.free, input.quotas.clone());
        Candidates { line: Vec::new(), left, quotas, headed: RegionSet(0) }
    }

    /// Puts these into the line, and counts them as a pass does.
    pub(super) fn take(&mut self, input: &PassInput, jobs: impl Iterator<Item = PendingJob>) {
        for job in jobs.take(PLAN_DEPTH - self.line.len()) {
            self.line.push(job);
            // Whom those before it bar, a pass lets by.
            if input.bars(&job, &self.quotas).is_some() {
                continue;
            }
            if !self.left.holds(&input.demand(&job)) {
                self.headed.0 |= job.regions.0;
            } else if self.headed == RegionSet(0) {
                self.left = self.left.minus(&self.left.taken_by(&input.demand(&job)));
                spend(&mut self.quotas, &job, &input.demand(&job));
            }
        }
    }
}

/// Where the next job may come from.
pub(super) struct BucketCursor<'a> {
    place: Place,
    /// Whom it gives next.
    pub(super) next: PendingJob,
    /// How often more it gives that one.
    again: u32,
    /// How often it gives one at most.
    most: u32,
    kind: &'a BucketKey,
    /// Others of its kind, once somebody asked for them.
    rest: Option<Range<'a, JobId, Time>>,
    /// How many more it may give after the next.
    more: usize,
}

impl<'a> BucketCursor<'a> {
    /// The jobs of a bucket, from the first that stands in the line.
    pub(super) fn at(
        kind: &'a BucketKey,
        bucket: &'a Bucket,
        sight: RankContext<'_>,
        more: usize,
    ) -> Option<BucketCursor<'a>> {
        let mut rest = None;
        let mut first = Some(bucket.head);
        if sight.claims(bucket.head.0) {
            let mut jobs = bucket.jobs.range(..);
            first = jobs.find(|(id, _)| !sight.claims(**id)).map(|(id, time)| (*id, *time));
            rest = Some(jobs);
        }
        let next = kind.job(first?, sight.points);
        let place = sight.place(&next);
        Some(BucketCursor { place, next, again: 0, most: 1, kind, rest, more })
    }

    /// Arrays give as many of their tasks as may start, at most so many.
    pub(super) fn repeat(&mut self, buckets: &Buckets, most: u32) {
        self.most = most;
        self.again = buckets.startable_tasks(self.next.job).min(most) - 1;
    }

    /// What a pass could start of this class of buckets, and the first job that it could not in
    /// each set of regions of which nobody is `headed` yet. Where accounts are limited that is not
    /// known before the pass, since it may be barred by then: all that could be are given.
    pub(super) fn of(
        buckets: &Buckets,
        class: impl IntoIterator<Item = (&'a BucketKey, &'a Bucket)>,
        sight: RankContext<'_>,
        all: bool,
        headed: RegionSet,
    ) -> Vec<BucketCursor<'a>> {
        let input = sight.input;
        let mut sources = Vec::new();
        let mut too_large: Vec<BucketCursor<'_>> = Vec::new();
        for (kind, bucket) in class {
            let Some(mut source) = BucketCursor::at(kind, bucket, sight, 0) else { continue };
            source.repeat(buckets, u32::MAX);
            let next = &source.next;
            if input.bars(next, &input.quotas).is_some() {
                continue;
            }
            if all || input.free.holds(&input.demand(next)) {
                source.more = if all { PLAN_DEPTH } else { fit(input, next).min(PLAN_DEPTH) };
                sources.push(source);
            } else if headed.0 & next.regions.0 == 0 {
                let regions = next.regions;
                let alike = |first: &&mut BucketCursor<'_>| first.next.regions == regions;
                match too_large.iter_mut().find(alike).filter(|_| input.quotas.is_nobodys()) {
                    Some(first) if first.place <= source.place => {}
                    Some(first) => *first = source,
                    None => too_large.push(source),
                }
            }
        }
        if sources.len() > PLAN_DEPTH {
            sources.select_nth_unstable_by(PLAN_DEPTH, |a, b| a.place.cmp(&b.place));
            sources.truncate(PLAN_DEPTH);
        }
        sources.append(&mut too_large);
        sources
    }

    /// Goes on to the next of its kind; `false` when there is none, or none that counts.
    pub(super) fn step(&mut self, buckets: &'a Buckets, sight: RankContext<'_>) -> bool {
        if self.more == 0 {
            return false;
        }
        self.more -= 1;
        if self.again > 0 {
            self.again -= 1;
            return true;
        }
        let behind = (Excluded(self.next.job), Unbounded);
        let rest = self.rest.take().or_else(|| Some(buckets.bucket(self.kind)?.jobs.range(behind)));
        let Some(mut rest) = rest else { return false };
        let Some((id, submitted)) = rest.find(|(id, _)| !sight.claims(**id)) else { return false };
        self.next = self.kind.job((*id, *submitted), sight.points);
        self.repeat(buckets, self.most);
        self.place = sight.place(&self.next);
        self.rest = Some(rest);
        true
    }
}

/// How many of such jobs could start.
fn fit(input: &PassInput, job: &PendingJob) -> usize {
    let asked = input.demand(job);
    let cpus = job.cpus.max(1);
    let mut fit = input.free.cpus_within(asked.regions) / u64::from(cpus);
    for part in asked.rest {
        fit = fit.min(input.free.within(part.cells) / part.amount.max(1));
    }
    for (_, quota) in input.quotas.of(job) {
        fit = fit.min(quota.jobs.into()).min(u64::from(quota.cpus / cpus));
    }
    usize::try_from(fit).unwrap_or(usize::MAX)
}

impl Ord for BucketCursor<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

impl PartialOrd for BucketCursor<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for BucketCursor<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for BucketCursor<'_> {}
