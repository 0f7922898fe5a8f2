//! *Purpose*: pending jobs, and of them those that a pass has to look at.
//!
//! *Owns*: the queue, its index by id, who of it is hidden.
//!
//! *Promises*: a job stands in it once; looking for what a pass could start costs as much as
//! there are kinds of jobs, however many wait.
//!
//! *Not here*: who goes first (`policy::order`), what may start (`policy`), why a job is
//! hidden from a pass (`kernel::commands::enqueue`).

mod buckets;
mod line;
pub mod pending;

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::job::ids::JobId;
use crate::kernel::parts::limits::Waiting;
use crate::kernel::parts::priority::Priorities;
use crate::kernel::parts::queued::Queued;
use crate::policy::input::{PassInput, PendingJob};
use crate::policy::name::{Backfill, Policy};
use crate::resources::capacity::RegionSet;
use crate::time::{SECOND_US, Time};
use buckets::{Bucket, BucketKey, Buckets};
use line::{BucketCursor, Candidates, RankContext};
use pending::{PLAN_DEPTH, pointed};

/// A job that is found by its id, which is in it already.
#[derive(Debug)]
struct ById(Queued);

impl Borrow<JobId> for ById {
    fn borrow(&self) -> &JobId {
        &self.0.id
    }
}

impl Ord for ById {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.id.cmp(&other.0.id)
    }
}

impl PartialOrd for ById {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

/// The pending jobs.
#[derive(Debug, Default)]
pub struct Queue {
    jobs: BTreeSet<ById>,
    /// Those that no pass may see.
    hidden: BTreeSet<JobId>,
    /// How many wait for each partition, seen or not.
    of_partition: Vec<u64>,
    /// What waits of each account that is counted; the others are at 0.
    of_account: Vec<Waiting>,
    /// The same of each user.
    of_user: Vec<Waiting>,
    /// How many wait under each set of words.
    of_names: Vec<u64>,
    /// Those that a pass may see.
    buckets: Buckets,
}

impl Queue {
    /// Puts a job into its place, where a pass sees it or not.
    ///
    /// # Panics
    /// When it is in already: our bug.
    pub fn insert(&mut self, job: Queued, shown: bool) {
        let new = self.jobs.insert(ById(job));
        assert!(new, "job {} entered the queue twice", job.id);
        *counter(&mut self.of_partition, job.placement.partition.into()) += 1;
        *counter(&mut self.of_names, job.names) += 1;
        for all in
            [counter(&mut self.of_account, job.account), counter(&mut self.of_user, job.user)]
        {
            *all = all.plus(Waiting::one(job.input_bytes));
        }
        match shown {
            true => self.buckets.put(job),
            false => drop(self.hidden.insert(job.id)),
        }
    }

    /// From now on a pass sees this job, or does not.
    pub fn show(&mut self, id: JobId, shown: bool) {
        let Some(job) = self.get(id).copied() else { return };
        match shown {
            true if self.hidden.remove(&id) => self.buckets.put(job),
            false if self.hidden.insert(id) => self.buckets.take(&job),
            _ => {}
        }
    }

    /// From now on a pass may start this job so often.
    pub fn set_startable_tasks(&mut self, id: JobId, startable_tasks: u32) {
        self.buckets.set_startable_tasks(id, startable_tasks);
    }

    /// Whether a pass sees this job.
    #[must_use]
    pub fn is_shown(&self, id: JobId) -> bool {
        self.jobs.contains(&id) && !self.hidden.contains(&id)
    }

    /// Takes a job out.
    pub fn remove(&mut self, id: JobId) -> Option<Queued> {
        let ById(job) = self.jobs.take(&id)?;
        self.buckets.set_startable_tasks(id, 1);
        *counter(&mut self.of_partition, job.placement.partition.into()) -= 1;
        *counter(&mut self.of_names, job.names) -= 1;
        for all in
            [counter(&mut self.of_account, job.account), counter(&mut self.of_user, job.user)]
        {
            *all = all.minus(Waiting::one(job.input_bytes));
        }
        if !self.hidden.remove(&id) {
            self.buckets.take(&job);
        }
        Some(job)
    }

    /// How many wait for this partition.
    #[must_use]
    pub fn waiting_for(&self, partition: u8) -> u64 {
        self.of_partition.get(usize::from(partition)).copied().unwrap_or(0)
    }

    /// How many wait under each set of words that has any.
    pub fn waiting_by_names(&self) -> impl Iterator<Item = (u32, u64)> {
        let all = (0..).zip(self.of_names.iter().copied());
        all.filter(|(_, waiting)| *waiting > 0)
    }

    /// What waits of this account, if it is counted.
    #[must_use]
    pub fn waiting_of_account(&self, account: u32) -> Waiting {
        self.of_account.get(account as usize).copied().unwrap_or_default()
    }

    /// What waits of this user, if he is counted.
    #[must_use]
    pub fn waiting_of_user(&self, user: u32) -> Waiting {
        self.of_user.get(user as usize).copied().unwrap_or_default()
    }

    /// A pending job.
    #[must_use]
    pub fn get(&self, id: JobId) -> Option<&Queued> {
        self.jobs.get(&id).map(|ById(job)| job)
    }

    /// The jobs, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.jobs.iter().map(|ById(job)| job)
    }

    /// All that a pass over this input could start, and the first job that it could not, in line,
    /// at most [`PLAN_DEPTH`] of them. Whoever may not start whatever comes free is left out.
    #[must_use]
    pub fn candidates(
        &self,
        policy: &Policy,
        input: &PassInput,
        points: &Priorities,
    ) -> Vec<PendingJob> {
        let rule = policy.rule(SECOND_US);
        let sight = RankContext { rule, input, points };
        // With a reservation for everybody, everybody counts.
        let all = policy.backfill == Backfill::Conservative;
        let buckets = &self.buckets;
        let mut front = Candidates::new(input);
        if !points.are_plain() {
            // More than the priority counts, so a lower class may hold the first of the line.
            let sources = BucketCursor::of(buckets, buckets.iter(), sight, all, RegionSet(0));
            front.take(input, merge(&self.buckets, sight, sources));
            return front.line;
        }
        for class in buckets.classes() {
            let sources = BucketCursor::of(buckets, class, sight, all, front.headed);
            front.take(input, merge(&self.buckets, sight, sources));
            let nothing_left = !all && front.left.all_cpus() == 0;
            if nothing_left || front.line.len() >= PLAN_DEPTH {
                break;
            }
        }
        front.line
    }

    /// The first jobs of the whole line, whether or not they could start.
    #[must_use]
    pub fn line(
        &self,
        policy: &Policy,
        input: &PassInput,
        points: &Priorities,
        depth: usize,
    ) -> Vec<PendingJob> {
        let sight = RankContext { rule: policy.rule(SECOND_US), input, points };
        let source = |(kind, bucket)| {
            let mut source = BucketCursor::at(kind, bucket, sight, depth)?;
            // Of an array as many as the machine holds: those behind it have a place in line too.
            let most = (input.total.all_cpus() / source.next.cpus.max(1)).max(1);
            source.repeat(&self.buckets, most);
            Some(source)
        };
        let sources = self.buckets.iter().filter_map(source).collect();
        merge(&self.buckets, sight, sources).take(depth).collect()
    }

    /// How many of those that a pass may see stand before this job, itself included.
    #[must_use]
    pub fn position(
        &self,
        policy: &Policy,
        now: Time,
        points: &Priorities,
        id: JobId,
    ) -> Option<usize> {
        let rule = policy.rule(SECOND_US);
        let job = self.get(id).filter(|_| self.is_shown(id))?;
        let place = rule.place(&pointed(job, points), now.0);
        let before = |(kind, bucket): (&BucketKey, &Bucket)| {
            let job = |(id, submitted): (&JobId, &Time)| kind.job((*id, *submitted), points);
            let jobs = bucket.jobs.iter().map(job);
            let jobs = jobs.take_while(|other| rule.place(other, now.0) < place);
            jobs.map(|other| self.buckets.startable_tasks(other.job) as usize).sum::<usize>()
        };
        Some(self.buckets.iter().map(before).sum::<usize>() + 1)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there is anybody whom a pass could start.
    #[must_use]
    pub fn has_candidates(&self) -> bool {
        !self.buckets.is_empty()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

/// The jobs of these sources in line.
fn merge<'a>(
    buckets: &'a Buckets,
    sight: RankContext<'a>,
    sources: Vec<BucketCursor<'a>>,
) -> impl Iterator<Item = PendingJob> {
    let mut sources: BinaryHeap<Reverse<BucketCursor<'a>>> =
        sources.into_iter().map(Reverse).collect();
    std::iter::from_fn(move || {
        let Reverse(mut source) = sources.pop()?;
        let given = source.next;
        if source.step(buckets, sight) {
            sources.push(Reverse(source));
        }
        Some(given)
    })
}

/// The counter of this index.
fn counter<T: Clone + Default>(all: &mut Vec<T>, index: u32) -> &mut T {
    let index = index as usize;
    if all.len() <= index {
        all.resize(index + 1, T::default());
    }
    &mut all[index]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::pending::waiting;
    use super::*;
    use crate::policy::input::{RequestId, Running};
    use crate::policy::pass::plan;
    use crate::resources::capacity::{Capacity, Part};
    use crate::resources::partitions::Placement;

    /// Request `n` asks for so many bytes of memory.
    fn requests() -> Arc<Vec<Box<[Part]>>> {
        Arc::new((1..=30).map(|bytes| [Part::of_memory(bytes)].into()).collect())
    }

    fn job(id: i64, (priority, cpus, limit, memory): (i64, u32, u32, u32)) -> Queued {
        let limit_s = (limit > 0).then_some(limit * 100);
        let submitted = Time(id * SECOND_US);
        let id = JobId(id);
        let rest = RequestId(memory);
        Queued { id, cpus, rest, limit_s, priority, submitted, ..Queued::default() }
    }

    fn jobs() -> impl Strategy<Value = Vec<(i64, u32, u32, u32)>> {
        prop::collection::vec((0..3i64, 1..9u32, 0..4u32, 0..6u32), 0..60)
    }

    fn policies() -> impl Strategy<Value = Policy> {
        const NAMES: [&str; 8] = [
            "fcfs",
            "sjf+firstfit",
            "fcfs+easy",
            "saf+easy:sjf",
            "wfp3+easy",
            "wfp3+easy@30",
            "wfp3+easy@3d",
            "sjf+easy@20",
        ];
        prop::sample::select(&NAMES[..]).prop_map(|name| name.parse().unwrap())
    }

    proptest! {
        #[test]
        fn a_job_is_in_it_until_it_is_taken_out(
            jobs in jobs(),
            gone in prop::collection::vec(0..60i64, 0..30),
        ) {
            let mut queue = Queue::default();
            let mut plain = BTreeMap::new();
            // Not in the order of ids: buckets must find their heads by themselves.
            for (n, what) in jobs.into_iter().enumerate() {
                let id = (n as i64 * 37) % 61;
                queue.insert(job(id, what), true);
                plain.insert(JobId(id), job(id, what));
            }
            for id in gone {
                prop_assert_eq!(queue.remove(JobId(id)), plain.remove(&JobId(id)));
            }
            let all: Vec<Queued> = plain.values().copied().collect();
            prop_assert_eq!(queue.iter().copied().collect::<Vec<_>>(), all);
            prop_assert_eq!(queue.len(), plain.len());
        }

        #[test]
        fn a_pass_over_the_candidates_starts_what_a_pass_over_all_would(
            policy in policies(),
            jobs in jobs(),
            free in (0..9u32, prop_oneof![0..16u64, Just(u64::MAX)]),
            busy in prop::collection::vec((1..3u32, 0..4i64, 0..4u64), 0..4),
        ) {
            let mut queue = Queue::default();
            for (n, what) in jobs.into_iter().enumerate() {
                queue.insert(job(n as i64, what), true);
            }
            let now = 70 * SECOND_US;
            let running: Vec<Running> = busy
                .into_iter()
                .enumerate()
                .map(|(n, (cpus, left, memory))| Running {
                    job: JobId(1_000 + n as i64),
                    end: now + (left * 100 + 50) * SECOND_US,
                    held: Capacity::of(cpus).with_memory(memory),
                })
                .collect();
            let free = Capacity::of(free.0).with_memory(free.1);
            let total = running.iter().fold(free, |all, attempt| all.plus(&attempt.held));
            let requests = requests();
            let mut input =
                PassInput { now, free, total, running, requests, ..PassInput::default() };
            let few = queue.candidates(&policy, &input, &Priorities::default());
            input.queue = queue.iter().map(waiting).collect();
            let of_all = plan(policy, &input).start;
            input.queue = few;
            prop_assert_eq!(plan(policy, &input).start, of_all);
        }
    }

    #[test]
    fn where_the_first_take_all_that_is_free_the_others_are_not_looked_at() {
        let mut queue = Queue::default();
        queue.insert(job(1, (9, 3, 1, 0)), true);
        queue.insert(job(2, (5, 2, 1, 0)), true);
        queue.insert(job(3, (0, 1, 1, 0)), true);
        let room = |cpus| PassInput {
            free: Capacity::of(cpus),
            total: Capacity::of(8),
            ..PassInput::default()
        };
        let seen = |cpus| -> Vec<i64> {
            let line = queue.candidates(&Policy::default(), &room(cpus), &Priorities::default());
            line.iter().map(|waiting| waiting.job.0).collect()
        };
        assert_eq!(seen(3), [1]);
        assert_eq!(seen(5), [1, 2]);
        assert_eq!(seen(2), [1, 2, 3], "the first does not fit: others may be let by");
        queue.insert(job(4, (9, 3, 1, 0)), true);
        let line = queue.candidates(&Policy::default(), &room(3), &Priorities::default());
        let seen: Vec<i64> = line.iter().map(|waiting| waiting.job.0).collect();
        assert_eq!(seen, [1, 4], "of equals one more is seen, and nobody behind them");
    }

    #[test]
    fn where_the_machine_is_divided_the_first_of_each_part_is_seen() {
        let within = |regions, job: Queued| Queued {
            placement: Placement { partition: 0, regions: RegionSet(regions) },
            ..job
        };
        let mut queue = Queue::default();
        queue.insert(within(1, job(1, (9, 1, 1, 0))), true);
        queue.insert(within(2, job(2, (5, 2, 1, 0))), true);
        queue.insert(within(2, job(3, (0, 1, 1, 0))), true);
        queue.insert(within(1, job(4, (0, 1, 1, 0))), true);
        let (free, total) = (Capacity::of(0).with(1, 1), Capacity::of(2).with(1, 2));
        let input = PassInput { free, total, ..PassInput::default() };
        let line = queue.candidates(&Policy::default(), &input, &Priorities::default());
        let seen: Vec<i64> = line.iter().map(|waiting| waiting.job.0).collect();
        assert_eq!(seen, [1, 2, 3], "both that are first, and whom the second part has room for");
    }

    #[test]
    fn of_a_million_equal_jobs_a_pass_sees_what_fits_and_one_more() {
        let mut queue = Queue::default();
        for id in 0..10_000 {
            queue.insert(job(id, (0, 2, 1, 0)), true);
        }
        queue.insert(job(10_000, (1, 6, 0, 0)), true);
        queue.insert(job(10_001, (1, 9, 0, 0)), true);
        let (free, total) = (Capacity::of(5), Capacity::of(8));
        let input = PassInput { free, total, ..PassInput::default() };
        let policy = "fcfs+easy".parse().unwrap();
        let seen: Vec<i64> = queue
            .candidates(&policy, &input, &Priorities::default())
            .iter()
            .map(|w| w.job.0)
            .collect();
        assert_eq!(seen, [10_000, 0, 1, 2], "the one that is wider than the machine is left out");
    }

    #[test]
    fn an_array_stands_in_line_as_often_as_it_may_start_and_is_one_entry() {
        let mut queue = Queue::default();
        queue.insert(job(1, (0, 2, 1, 0)), true);
        queue.insert(job(2, (0, 2, 1, 0)), true);
        queue.set_startable_tasks(JobId(1), 1_000_000);
        let seen = |queue: &Queue, free| -> Vec<i64> {
            let input = PassInput {
                free: Capacity::of(free),
                total: Capacity::of(8),
                ..PassInput::default()
            };
            let line = queue.candidates(&"fcfs".parse().unwrap(), &input, &Priorities::default());
            line.iter().map(|w| w.job.0).collect()
        };
        assert_eq!(seen(&queue, 6), [1, 1, 1, 1], "three fit, and one more");
        let policy = "fcfs".parse().unwrap();
        let input = PassInput { total: Capacity::of(8), ..PassInput::default() };
        let line: Vec<i64> = queue
            .line(&policy, &input, &Priorities::default(), 9)
            .iter()
            .map(|w| w.job.0)
            .collect();
        assert_eq!(line, [1, 1, 1, 1, 2], "no more than the machine holds: others are seen too");
        let position = queue.position(&policy, Time(0), &Priorities::default(), JobId(2));
        assert_eq!((queue.len(), position), (2, Some(1_000_001)));
        queue.set_startable_tasks(JobId(1), 2);
        assert_eq!(seen(&queue, 6), [1, 1, 2]);
        queue.remove(JobId(1));
        queue.insert(job(1, (0, 2, 1, 0)), true);
        assert_eq!(seen(&queue, 6), [1, 2], "who enters again is one");
    }

    #[test]
    fn of_jobs_that_want_memory_a_pass_sees_what_memory_is_there_for_and_one_more() {
        let mut queue = Queue::default();
        for id in 0..100 {
            queue.insert(job(id, (0, 1, 1, 30)), true);
        }
        let room = Capacity::of(50).with_memory(100);
        let requests = requests();
        let input = PassInput { free: room, total: room, requests, ..PassInput::default() };
        let seen = queue.candidates(&"fcfs+easy".parse().unwrap(), &input, &Priorities::default());
        assert_eq!(seen.iter().map(|w| w.job.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(
            plan("fcfs+easy".parse().unwrap(), &PassInput { queue: seen, ..input }).start.len(),
            3
        );
    }
}
