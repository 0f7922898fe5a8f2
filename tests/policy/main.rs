//! *Purpose*: the laws of scheduling, as properties and against brute force.
//!
//! *Owns*: random inputs, small random traces.
//!
//! *Promises*: each test is named after its law.
//!
//! *Not here*: real traces and the schedules that others made of them (`tests/traces.rs`);
//! conservative backfilling from pass to pass (`conservative`).

#![allow(clippy::unwrap_used, missing_docs)]

mod conservative;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use downbeat::job::ids::JobId;
use downbeat::job::suspension::Suspension;
use downbeat::kernel::parts::queue::pending::UNLIMITED_S;
use downbeat::kernel::views::pass_input::expected_end;
use downbeat::policy::input::{
    PassInput, PendingJob, Quota, Quotas, RequestId, Running, Window, spend,
};
use downbeat::policy::name::Policy;
use downbeat::policy::pass::plan;
use downbeat::resources::capacity::{Capacity, CellSet, MEMORY_CELL, Part, RegionSet};
use downbeat::simulate::replay::{Outcome, Setting, replay};
use downbeat::simulate::swf::{Trace, TraceJob};
use downbeat::time::{SECOND_US, Time};
use proptest::prelude::*;

const NOW: i64 = 1_000 * SECOND_US;
const CPUS: u32 = 8;

const POLICIES: [&str; 14] = [
    "fcfs",
    "sjf",
    "saf",
    "wfp3",
    "fcfs+firstfit",
    "wfp3+firstfit",
    "fcfs+easy",
    "fcfs+easy:sjf",
    "fcfs+easy:saf",
    "sjf+easy",
    "saf+easy@300",
    "wfp3+easy",
    "wfp3+easy@300",
    "fcfs+cons",
];

fn policy(name: &str) -> Policy {
    name.parse().unwrap()
}

fn waiting(id: i64, cpus: u32, request_s: i64, ago_s: i64) -> PendingJob {
    PendingJob {
        job: JobId(id),
        cpus,
        request: request_s * SECOND_US,
        submitted: NOW - ago_s * SECOND_US,
        ..PendingJob::default()
    }
}

fn running(id: i64, cpus: u32, left_s: i64) -> Running {
    Running { job: JobId(id), end: NOW + left_s * SECOND_US, held: Capacity::of(cpus) }
}

fn input(busy: Vec<Running>, queue: Vec<PendingJob>) -> PassInput {
    let used: u32 = busy.iter().map(|r| r.held.all_cpus()).sum();
    PassInput {
        now: NOW,
        free: Capacity::of(CPUS - used),
        total: Capacity::of(CPUS),
        running: busy,
        queue,
        ..PassInput::default()
    }
}

prop_compose! {
    fn inputs()(
        busy in prop::collection::vec((1..4u32, 1..2_000i64), 0..5),
        queue in prop::collection::vec((1..=CPUS, 1..1_000i64, 0..3i64), 0..9),
    ) -> PassInput {
        let mut left = CPUS;
        let mut held = Vec::new();
        for (n, (cpus, left_s)) in busy.into_iter().enumerate() {
            let cpus = cpus.min(left);
            left -= cpus;
            if cpus > 0 {
                held.push(running(1_000 + n as i64, cpus, left_s));
            }
        }
        let count = queue.len() as i64;
        let jobs = queue.into_iter().enumerate().map(|(n, (cpus, request, points))| {
            let ago = (count - n as i64) * 100;
            PendingJob { points, ..waiting(n as i64 + 1, cpus, request, ago) }
        });
        input(held, jobs.collect())
    }
}

/// When so many CPUs are free at the latest, given what runs: all instants are tried.
fn earliest(cpus: u32, running: &[Running]) -> i64 {
    let mut instants: Vec<i64> = running.iter().map(|r| r.end).chain([NOW]).collect();
    instants.sort_unstable();
    let free_at = |t: i64| {
        CPUS - running.iter().filter(|r| r.end > t).map(|r| r.held.all_cpus()).sum::<u32>()
    };
    *instants.iter().find(|t| free_at(**t) >= cpus).unwrap()
}

/// EASY over points and ids, as one would write it without a thought for speed: a later job may
/// start if the first that does not fit can still start when it could.
fn easy_by_brute_force(input: &PassInput) -> Vec<JobId> {
    let mut line: Vec<&PendingJob> = input.queue.iter().collect();
    line.sort_by_key(|w| (-w.points, w.job));
    let mut busy = input.running.clone();
    let mut start = Vec::new();
    let mut head: Option<&PendingJob> = None;
    for job in line {
        let free = CPUS - busy.iter().map(|r| r.held.all_cpus()).sum::<u32>();
        let ours = Running { job: job.job, end: NOW + job.request, held: Capacity::of(job.cpus) };
        let with: Vec<Running> = busy.iter().copied().chain([ours]).collect();
        let in_the_way = head
            .is_some_and(|h| job.cpus <= free && earliest(h.cpus, &with) > earliest(h.cpus, &busy));
        if job.cpus > free {
            head = head.or(Some(job));
        } else if !in_the_way {
            busy = with;
            start.push(job.job);
        }
    }
    start
}

proptest! {
    #[test]
    fn what_a_pass_starts_fits_and_is_started_once(
        input in inputs(),
        name in prop::sample::select(&POLICIES[..]),
    ) {
        let plan = plan(policy(name), &input);
        let seen: BTreeSet<JobId> = plan.start.iter().copied().collect();
        prop_assert_eq!(seen.len(), plan.start.len());
        let cpus: u32 = input.queue.iter().filter(|w| seen.contains(&w.job)).map(|w| w.cpus).sum();
        prop_assert!(cpus <= input.free.all_cpus());
    }

    #[test]
    fn easy_starts_what_brute_force_would(input in inputs()) {
        prop_assert_eq!(plan(policy("fcfs+easy"), &input).start, easy_by_brute_force(&input));
    }

    #[test]
    fn the_shadow_time_is_the_first_instant_at_which_the_head_fits(input in inputs()) {
        let plan = plan(policy("fcfs+easy"), &input);
        let Some((head, Some(at))) = plan.head else { return Ok(()) };
        let mut busy = input.running.clone();
        for job in input.queue.iter().filter(|w| plan.start.contains(&w.job)) {
            busy.push(Running { job: job.job, end: NOW + job.request, held: Capacity::of(job.cpus) });
        }
        let head = input.queue.iter().find(|w| w.job == head).unwrap();
        prop_assert_eq!(at, earliest(head.cpus, &busy), "what was backfilled does not delay it");
    }

    #[test]
    fn priority_given_by_people_stands_before_every_order(
        input in inputs(),
        name in prop::sample::select(&POLICIES[..]),
    ) {
        let policy = policy(name);
        let first = input.queue.iter().map(|w| w.points).max();
        let highest: Vec<&PendingJob> =
            input.queue.iter().filter(|w| Some(w.points) == first).collect();
        let fits = |w: &&&PendingJob| w.cpus <= input.free.all_cpus();
        if let [only] = highest[..] && fits(&&only) {
            prop_assert!(plan(policy, &input).start.contains(&only.job));
        }
    }

    /// Of no resource, region or quota is ever more taken than there is.
    #[test]
    fn no_resource_is_ever_over_allocated(
        input in inputs(),
        name in prop::sample::select(&POLICIES[..]),
        asked in prop::collection::vec((0..9u64, 0..3u64, 0..4u32, 0..3u64), 9),
        masks in prop::collection::vec(1..4u8, 9),
        quotas in prop::collection::vec(prop::array::uniform2(prop::option::of(0..2u32)), 9),
        rooms in prop::collection::vec((0..6u32, 0..3u32, 0..4u64), 4),
        free in (0..12u64, 0..3u64, 0..3u64, 0..4u64),
    ) {
        // Memory, GPUs of two types, licences.
        const GPUS: CellSet = CellSet(0b110 << (MEMORY_CELL + 1));
        let kinds = |kind: u32| match kind {
            0 => GPUS,
            kind => CellSet(1 << (MEMORY_CELL + 1 + kind as usize % 3)),
        };
        let licences = CellSet(1 << (MEMORY_CELL + 4));
        let mut input = input;
        input.running.clear();
        let (memory, one, two, some) = free;
        input.free = Capacity::of(3).with(1, 5).with_memory(memory);
        input.free = input.free.with(MEMORY_CELL + 2, one).with(MEMORY_CELL + 3, two);
        input.free = input.free.with(MEMORY_CELL + 4, some);
        input.total = input.free;
        let quota = |(cpus, jobs, gpus)| {
            let rest = vec![Part { resource: 2, cells: GPUS, amount: gpus }];
            Quota { cpus, jobs, rest }
        };
        let mut rooms = rooms.into_iter().map(quota);
        input.quotas.accounts = rooms.by_ref().take(2).collect();
        input.quotas.users = rooms.collect();
        let parts = asked.iter().map(|(memory, gpus, kind, some)| {
            let kind = if *kind == 1 { 2 } else { *kind };
            let gpus = Part { resource: 2, cells: kinds(kind), amount: *gpus };
            let some = Part { resource: 3, cells: licences, amount: *some };
            [Part::of_memory(*memory), gpus, some].into()
        });
        input.requests = Arc::new(parts.collect());
        for (n, job) in input.queue.iter_mut().enumerate() {
            job.rest = RequestId(n as u32 + 1);
            job.regions = RegionSet(masks[n]);
            job.quotas = quotas[n];
        }
        let plan = plan(policy(name), &input);
        let mut free = input.free;
        let mut left = input.quotas.clone();
        for id in &plan.start {
            let job = input.queue.iter().find(|w| w.job == *id).unwrap();
            let takes = input.demand(job);
            prop_assert!(free.holds(&takes), "{job:?} of {free:?}");
            free = free.minus(&free.taken_by(&takes));
            let of = [(job.quotas[0], &left.accounts), (job.quotas[1], &left.users)];
            for (at, all) in of {
                prop_assert!(at.is_none_or(|at| !all[at as usize].lacks(&takes)), "{at:?}");
            }
            spend(&mut left, job, &takes);
        }
    }

    #[test]
    fn nothing_runs_into_a_maintenance_window(
        input in inputs(),
        name in prop::sample::select(&POLICIES[..]),
        begins in -100..1_000i64,
        lasts in 1..500i64,
    ) {
        let (start, end) = (NOW + begins * SECOND_US, NOW + (begins + lasts) * SECOND_US);
        let windows = vec![Window { start, end, regions: RegionSet::ALL }];
        let input = PassInput { windows, ..input };
        for id in plan(policy(name), &input).start {
            let job = input.queue.iter().find(|w| w.job == id).unwrap();
            prop_assert!(NOW >= end || NOW + job.request <= start);
        }
    }
}

/// A trace of jobs that came soon after one another: (gap, CPUs, request, part of it that ran).
fn traces() -> impl Strategy<Value = Trace> {
    let job = (0..40i64, 1..=CPUS, 1..200i64, 1..=100i64);
    prop::collection::vec(job, 1..60).prop_map(|jobs| trace(&jobs))
}

fn trace(jobs: &[(i64, u32, i64, i64)]) -> Trace {
    let mut now = 0;
    let jobs = jobs.iter().enumerate().map(|(n, (gap, cpus, request, percent))| {
        now += gap;
        TraceJob {
            number: n as i64 + 1,
            line: n as u32,
            submit: now,
            run: (request * percent / 100).max(1),
            request: *request,
            cpus: *cpus,
        }
    });
    Trace { name: "random".into(), cpus: CPUS, jobs: jobs.collect(), dropped: 0, longer: None }
}

fn setting(name: &str) -> Setting {
    name.parse().unwrap()
}

fn starts(trace: &Trace, name: &str) -> Outcome {
    replay(trace, setting(name), &mut |_, _| ())
}

/// The most CPUs that ran at a time.
fn most_used(trace: &Trace, outcome: &Outcome) -> u32 {
    let mut edges: Vec<(i64, i64)> = Vec::new();
    for (job, start) in trace.jobs.iter().zip(&outcome.starts) {
        edges.push((*start, i64::from(job.cpus)));
        edges.push((start + job.run, -i64::from(job.cpus)));
    }
    // At one instant what ends goes first.
    edges.sort_unstable();
    let mut used = 0;
    let levels = edges.iter().map(|(_, change)| {
        used += change;
        used
    });
    levels.max().unwrap() as u32
}

proptest! {
    #[test]
    fn every_job_of_a_trace_starts_after_its_submission_and_the_machine_is_never_overfull(
        trace in traces(),
        name in prop::sample::select(&POLICIES[..]),
    ) {
        let outcome = starts(&trace, name);
        for (job, start) in trace.jobs.iter().zip(&outcome.starts) {
            prop_assert!(*start >= job.submit);
        }
        prop_assert!(most_used(&trace, &outcome) <= CPUS);
    }

    #[test]
    fn the_shadow_time_of_a_front_job_never_moves_later(
        trace in traces(),
        name in prop::sample::select(&["fcfs+easy", "fcfs+easy:sjf", "fcfs+easy:saf"][..]),
    ) {
        let mut reserved: BTreeMap<JobId, i64> = BTreeMap::new();
        let mut later = Vec::new();
        replay(&trace, setting(name), &mut |_, plan| {
            let Some((head, Some(at))) = plan.head else { return };
            let before = *reserved.entry(head).or_insert(at);
            if at > before {
                later.push((head, before, at));
            }
            reserved.insert(head, at);
        });
        prop_assert_eq!(later, []);
    }

    #[test]
    fn a_conservative_start_is_never_later_than_what_was_promised_at_submission(trace in traces()) {
        // Whoever comes later cannot push anybody back: taking the later ones away changes no
        // start to an earlier promise. The promise: everybody before lasts as long as he may.
        let outcome = starts(&trace, "fcfs+cons");
        for n in 0..trace.jobs.len() {
            let mut before = trace.clone();
            before.jobs.truncate(n + 1);
            let submit = before.jobs[n].submit;
            for job in &mut before.jobs {
                // Whatever had not ended by then was promised to last.
                let ended = outcome.starts[job.line as usize] + job.run <= submit;
                job.run = if ended { job.run } else { job.request };
            }
            let promised = starts(&before, "fcfs+cons").starts[n];
            prop_assert!(outcome.starts[n] <= promised, "job {n}: {} > {promised}", outcome.starts[n]);
        }
    }

    #[test]
    fn nothing_submitted_later_stands_before_whoever_has_waited_longer_than_the_threshold(
        trace in traces(),
        name in prop::sample::select(&["wfp3@60", "sjf@60", "saf@60"][..]),
    ) {
        // Without backfilling, whoever stands before somebody starts before him.
        let outcome = starts(&trace, name);
        for (n, job) in trace.jobs.iter().enumerate() {
            for later in n + 1..trace.jobs.len() {
                let seniority = job.submit + 60;
                let (mine, theirs) = (outcome.starts[n], outcome.starts[later]);
                prop_assert!(theirs >= mine || theirs <= seniority, "{later} passed {n}");
            }
        }
    }

    #[test]
    fn a_wide_job_waits_no_longer_than_the_threshold_and_one_request(
        narrow in prop::collection::vec((0..8i64, 1..3u32, 1..100i64, 1..=100i64), 20..120),
        name in prop::sample::select(&["wfp3+easy@300", "sjf+easy@300", "saf+easy@300"][..]),
    ) {
        let mut jobs = narrow;
        jobs.insert(0, (0, CPUS, 50, 100));
        jobs.insert(0, (0, 1, 100, 100));
        let trace = trace(&jobs);
        let wait = starts(&trace, name).starts[1] - trace.jobs[1].submit;
        prop_assert!(wait <= 300 + 100, "the wide job waited {wait} s");
    }
}

#[test]
fn without_a_threshold_a_stream_of_short_jobs_starves_a_wide_one() {
    let mut jobs = vec![(0, 1, 100, 100), (0, CPUS, 150, 100)];
    jobs.extend([(5, 4, 10, 100)].repeat(400));
    let trace = trace(&jobs);
    let waits = |name| starts(&trace, name).starts[1] - trace.jobs[1].submit;
    assert!(waits("sjf+easy") > 1_900, "{}", waits("sjf+easy"));
    assert!(waits("sjf+easy@300") <= 400, "{}", waits("sjf+easy@300"));
}

#[test]
fn a_wide_job_does_not_starve_behind_a_stream_of_narrow_ones() {
    let mut queue = vec![waiting(1, CPUS, 100, 50)];
    queue.extend((2..100).map(|id| waiting(id, 1, 100, 0)));
    let mut input = input(vec![running(1_000, 1, 50)], queue);
    assert_eq!(plan(policy("fcfs+easy"), &input).start, [], "each would outlast the reservation");
    input.queue[5].request = 50 * SECOND_US;
    assert_eq!(plan(policy("fcfs+easy"), &input).start, [JobId(6)], "one that ends in time may");
    assert_eq!(plan(policy("fcfs"), &input).start, [], "without backfilling nobody");
    assert_eq!(plan(policy("fcfs+firstfit"), &input).start.len(), 7, "with first fit all that fit");
}

#[test]
fn whoever_is_barred_holds_nobody_up() {
    let barred = |id, quotas| PendingJob { quotas, ..waiting(id, 2, 10, 9) };
    let too_large = waiting(2, CPUS + 1, 10, 9);
    for name in ["fcfs", "fcfs+firstfit", "fcfs+easy", "wfp3+easy@300", "fcfs+cons"] {
        let (account, user) = (barred(0, [Some(0), None]), barred(1, [Some(1), Some(0)]));
        let queue = vec![account, user, too_large, waiting(3, CPUS, 10, 9)];
        let mut input = input(Vec::new(), queue);
        let of = |cpus| Quota { cpus, jobs: 9, rest: Vec::new() };
        input.quotas = Quotas { accounts: vec![of(1), of(9)], users: vec![of(1)] };
        assert_eq!(plan(policy(name), &input).start, [JobId(3)], "{name}");
    }
}

#[test]
fn unlimited_and_overdue_jobs_still_give_a_reservation() {
    let (now, never) = (Time(NOW), Suspension::default());
    assert_eq!(expected_end(now, None, never, now), now.plus_s(UNLIMITED_S));
    assert_eq!(expected_end(Time(0), Some(1), never, now), now.plus_s(1));
}

/// So many CPUs of one partition and of another, which share none.
fn halves(first: u32, second: u32) -> Capacity {
    Capacity::of(first).with(1, second.into())
}

#[test]
fn where_the_machine_is_divided_each_part_has_a_first_job_that_nobody_delays() {
    let within = |regions: u8, job: PendingJob| PendingJob { regions: RegionSet(regions), ..job };
    let held = |id, held, left_s: i64| Running { held, ..running(id, 0, left_s) };
    let input = PassInput {
        now: NOW,
        free: halves(0, 1),
        total: halves(2, 2),
        running: vec![held(101, halves(2, 0), 500), held(102, halves(0, 1), 50)],
        queue: vec![
            within(1, waiting(1, 1, 60, 90)),
            within(2, waiting(2, 2, 60, 80)),
            within(2, waiting(3, 1, 100, 70)),
            within(2, waiting(4, 1, 40, 60)),
        ],
        ..PassInput::default()
    };
    let easy = plan(policy("fcfs+easy"), &input);
    assert_eq!(easy.start, [JobId(4)], "3 would keep 2 waiting, which is first in its part");
    assert_eq!(easy.head, Some((JobId(1), Some(NOW + 500 * SECOND_US))));
    // A job that may take from both parts has one place, and keeps both for itself.
    let both = PendingJob { regions: RegionSet(3), ..waiting(1, 4, 60, 90) };
    let input = PassInput { queue: [vec![both], input.queue[1..].to_vec()].concat(), ..input };
    assert_eq!(plan(policy("fcfs+easy"), &input).start, [JobId(3)]);
}
