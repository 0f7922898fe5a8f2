//! *Purpose*: laws of preemption, on a kernel that lives through it.
//!
//! *Owns*: random jobs of partitions that preempt one another, under every policy, with graces,
//! arrays, memory, weights and restarts.
//!
//! *Promises*: each test is named after its law.
//!
//! *Not here*: one choice of victims (`policy::preempt`), durability (`tests/simulation`).
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::job::edit::Edit;
use crate::job::ids::Attempt;
use crate::job::outcome::{Exit, ExitCode, Stop};
use crate::job::state::{EndReason, StateWord};
use crate::kernel::access::Permitted;
use crate::kernel::change::PREEMPTED;
use crate::kernel::check;
use crate::kernel::parts::eligibility::DependencySnapshot;
use crate::kernel::parts::priority::Weights;
use crate::kernel::parts::queued::Queued;
use crate::kernel::parts::rules::Rules;
use crate::kernel::restore::PersistedState;
use crate::kernel::testing::job::job;
use crate::kernel::testing::{KernelBuilder, exit, partition};
use crate::policy::claims::aside;
use crate::policy::input::demand;
use crate::policy::name::Policy;
use crate::policy::pass::Planner;
use crate::resources::partitions::{Partition, Partitions};
use crate::time::SECOND_US;

const CPUS: u32 = 4;
const MEMORY: u64 = 8;
/// Passes after one event within which a plan must find nothing more to do.
const PASSES_MAX: u32 = 200;
/// Seconds within which everything must have ended: each job runs for at most 9, and goes back a
/// few times at the worst.
const LIFE_S: i64 = 3_000;

/// `hi` preempts both others, `mid` preempts `lo`; `side` is half of the machine and preempts `lo`.
fn rules(weights: Weights) -> Rules {
    let one = |name, cpus, preempts| Partition { preempts, ..partition(name, cpus) };
    let list = vec![
        one("lo", 0..CPUS, 0),
        one("mid", 0..CPUS, 1),
        one("hi", 0..CPUS, 3),
        one("side", 2..CPUS, 1),
    ];
    let partitions = Arc::new(Partitions::new(list, 0).unwrap());
    Rules { partitions, weights, ..Rules::default() }
}

fn load(state: PersistedState) -> Kernel {
    KernelBuilder::of(state).cpus(CPUS).memory(MEMORY).build()
}

/// What is asked for.
#[derive(Clone, Debug)]
struct Asked {
    partition: usize,
    cpus: u32,
    memory: i64,
    limit_s: i64,
    priority: i64,
    /// Tasks of an array; 0: none.
    tasks: u32,
    runs_s: i64,
    grace_s: i64,
    comes_s: i64,
}

fn asked() -> impl Strategy<Value = Asked> {
    let size = (0..4usize, 1..=CPUS, 0..=MEMORY as i64, 0..3i64);
    let times = (1..20i64, 1..9i64, 0..4i64, 0..12i64);
    (size, times, prop_oneof![3 => Just(0u32), 1 => 1..4u32]).prop_map(
        |((partition, cpus, memory, priority), (limit_s, runs_s, grace_s, comes_s), tasks)| {
            let cpus = if partition == 3 { cpus.min(2) } else { cpus };
            let runs_s = runs_s.min(limit_s);
            Asked { partition, cpus, memory, limit_s, priority, tasks, runs_s, grace_s, comes_s }
        },
    )
}

fn policies() -> impl Strategy<Value = Policy> {
    const NAMES: [&str; 10] = [
        "fcfs",
        "sjf",
        "saf",
        "wfp3",
        "fcfs+firstfit",
        "wfp3+firstfit",
        "fcfs+easy",
        "sjf+easy:saf",
        "wfp3+easy@3d",
        "fcfs+cons",
    ];
    prop::sample::select(&NAMES[..]).prop_map(|name| name.parse().unwrap())
}

struct World {
    kernel: Kernel,
    planner: Planner,
    policy: Policy,
    now: Time,
    /// Of each job: how long its attempts run, and how long they take to go.
    times: BTreeMap<JobId, (i64, i64)>,
    /// When each live attempt is over.
    ends: BTreeMap<Attempt, Time>,
    /// Whom each job that waits has preempted.
    victims: BTreeMap<JobId, BTreeSet<JobId>>,
    preempted: u32,
}

impl World {
    fn new(policy: Policy, weights: Weights) -> World {
        World {
            kernel: load(PersistedState { rules: rules(weights), ..PersistedState::default() }),
            planner: Planner::new(policy, SECOND_US),
            policy,
            now: Time(1_000 * SECOND_US),
            times: BTreeMap::new(),
            ends: BTreeMap::new(),
            victims: BTreeMap::new(),
            preempted: 0,
        }
    }

    fn submit(&mut self, asked: &Asked) {
        let partition = ["lo", "mid", "hi", "side"][asked.partition];
        let mut job = job()
            .partition(partition)
            .cpus(asked.cpus)
            .memory(Some(asked.memory).filter(|bytes| *bytes > 0))
            .time_limit(asked.limit_s)
            .priority(asked.priority);
        if asked.tasks > 0 {
            job = job.array(&format!("0-{}", asked.tasks));
        }
        let ids = self.kernel.enter([job], self.now);
        self.times.insert(ids[0], (asked.runs_s, asked.grace_s));
        check::all(&self.kernel).unwrap();
    }

    fn hear(&mut self, step: Step) {
        for change in &step.changes {
            match change {
                Change::Split { event, array, .. } => {
                    let times = self.times[array];
                    self.times.insert(event.job, times);
                    self.victims.remove(array);
                }
                Change::Granted { event, .. } => {
                    let attempt = Attempt { job: event.job, n: event.attempt };
                    let (runs_s, _) = self.times[&event.job];
                    self.ends.insert(attempt, self.now.plus_s(runs_s));
                    self.victims.remove(&event.job);
                }
                Change::Completing { event, reason: EndReason::Preempted } => {
                    let whom = event.principal.name.strip_prefix("preempted for job ").unwrap();
                    let whom = JobId(whom.parse().unwrap());
                    assert_eq!(event.cause, "preempted");
                    let new = self.victims.entry(whom).or_default().insert(event.job);
                    assert!(new, "job {} is preempted for job {whom} again", event.job);
                    let attempt = Attempt { job: event.job, n: event.attempt };
                    let (_, grace_s) = self.times[&event.job];
                    let end = self.ends.get_mut(&attempt).unwrap();
                    *end = (*end).min(self.now.plus_s(grace_s));
                    self.preempted += 1;
                }
                Change::Requeued { past: Some(past), .. } => assert_eq!(past.state, PREEMPTED),
                _ => {}
            }
        }
        self.kernel.made_durable(step.effects);
        check::all(&self.kernel).unwrap();
    }

    fn schedule(&mut self) {
        for n in 0.. {
            assert!(n < PASSES_MAX, "passes find no end");
            let input = self.kernel.input(&self.policy, self.now);
            let plan = self.planner.pass(&input);
            let (started, stale, step) = self.kernel.start(&plan, self.now);
            assert_eq!(stale, 0, "the kernel does what was planned: {plan:?}");
            self.hear(step);
            if started == 0 && plan.preempt.is_none() {
                break;
            }
        }
        let claims = self.kernel.claimants(self.now);
        for (n, claim) in claims.iter().enumerate() {
            let free = self.kernel.ledger.free_room();
            let parts = self.kernel.requests.parts();
            let others = claims[..n].iter().map(|claim| demand(parts, claim));
            let left = free.minus(&aside(free, others));
            let fits = left.holds(&demand(parts, claim));
            assert!(!fits, "job {} waits and its room is there", claim.job);
        }
    }

    /// Attempts whose time has come are over.
    fn end(&mut self) {
        let due = self.ends.iter().filter(|(_, end)| **end <= self.now);
        for attempt in due.map(|(attempt, _)| *attempt).collect::<Vec<_>>() {
            self.ends.remove(&attempt);
            let stopped = self.kernel.live()[&attempt.job].state.is_told_to_stop();
            let signal = if stopped { 15 } else { 0 };
            let exit = Exit {
                exit_code: Some(ExitCode { code: 0, signal }),
                stop: stopped.then_some(Stop::Cancelled),
                ..exit(0, self.now)
            };
            let step = self.kernel.fact(attempt, Fact::Exited(exit), self.now).unwrap();
            self.hear(step);
        }
    }

    fn restart(&mut self) {
        self.kernel = load(self.kernel.remembered(self.now));
        self.planner = Planner::new(self.policy, SECOND_US);
    }

    fn is_over(&self) -> bool {
        self.kernel.queue().is_empty() && self.kernel.live().is_empty()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_job_preempts_another_once_at_most_and_starts_as_soon_as_its_room_is_there(
        policy in policies(),
        weights in (prop_oneof![Just(0u32), Just(50)], 1..20u32),
        mut jobs in prop::collection::vec(asked(), 1..14),
        restarts in prop::collection::btree_set(0..40i64, 0..4),
        cancels in prop::collection::btree_map(0..30i64, 1..14i64, 0..3),
    ) {
        let (age, max_age_s) = weights;
        let mut world = World::new(policy, Weights { age, max_age_s, ..Weights::default() });
        jobs.sort_by_key(|job| job.comes_s);
        for second in 0.. {
            prop_assert!(second < LIFE_S, "it does not come to rest");
            for asked in jobs.iter().filter(|asked| asked.comes_s == second) {
                world.submit(asked);
            }
            if let Some(job) = cancels.get(&second) {
                let (_, step) = world.kernel.cancel(&[JobId(*job)], &"me".into(), world.now);
                world.hear(step);
            }
            world.end();
            if restarts.contains(&second) {
                world.restart();
            }
            world.schedule();
            if second > 12 && world.is_over() {
                break;
            }
            world.now = world.now.plus_s(1);
        }
        let all: u64 = jobs.iter().map(|job| u64::from(job.tasks) + 1).sum();
        let completed = world.kernel.snapshot().count(StateWord::Completed);
        prop_assert!(completed == all || !cancels.is_empty(), "{completed} of {all} completed");
    }
}

/// `lo` holds all CPUs and has waited longer than `hi` will have.
fn taken(policy: &str) -> World {
    let mut world = World::new(policy.parse().unwrap(), Weights::default());
    let lo = Asked {
        partition: 0,
        cpus: CPUS,
        memory: 0,
        limit_s: 8,
        priority: 0,
        tasks: 0,
        runs_s: 4,
        grace_s: 3,
        comes_s: 0,
    };
    world.submit(&lo);
    world.schedule();
    world.now = world.now.plus_s(2);
    world.submit(&Asked { partition: 2, limit_s: 3_600, ..lo });
    world.schedule();
    world
}

#[test]
fn the_victim_that_has_waited_longer_does_not_take_the_room_again() {
    for policy in ["fcfs", "wfp3+easy@3d", "fcfs+firstfit", "fcfs+cons", "sjf"] {
        let mut world = taken(policy);
        assert_eq!((world.preempted, world.kernel.claims().len()), (1, 1), "{policy}");
        for _ in 0..3 {
            world.now = world.now.plus_s(1);
            world.end();
            world.restart();
            world.schedule();
        }
        let runs: Vec<JobId> = world.kernel.live().keys().copied().collect();
        assert_eq!(runs, [JobId(2)], "{policy}");
        assert_eq!(world.kernel.claims(), [], "it has what it claimed");
    }
}

#[test]
fn whoever_is_held_cancelled_or_put_behind_gives_up_its_claim() {
    let me: Permitted = "me".into();
    let held = Edit { held: Some(true), ..Edit::default() };
    let behind = Edit { priority: Some(-1), ..Edit::default() };
    let sooner = Edit { limit_s: Some(Some(60)), ..Edit::default() };
    for (edit, claims) in [(held, 0), (behind, 0), (sooner, 1)] {
        let mut world = taken("wfp3+easy");
        let (_, step) = world.kernel.edit(
            JobId(2),
            edit.clone(),
            &DependencySnapshot::default(),
            &me,
            world.now,
        );
        world.hear(step);
        world.schedule();
        assert_eq!(world.kernel.claims().len(), claims, "{edit:?}");
    }
    let mut world = taken("wfp3+easy");
    let (_, step) = world.kernel.cancel(&[JobId(2)], &me, world.now);
    world.hear(step);
    world.schedule();
    assert_eq!(world.kernel.claims(), []);
    world.now = world.now.plus_s(3);
    world.end();
    world.schedule();
    let runs: Vec<&Queued> = world.kernel.live().values().map(|live| &live.job).collect();
    assert_eq!(runs.iter().map(|job| job.id).collect::<Vec<_>>(), [JobId(1)], "it runs again");
}

#[test]
fn nobody_is_preempted_for_what_came_free_since_the_plan() {
    let mut world = taken("fcfs+easy");
    let mut late = taken("fcfs+easy");
    // The same plan, made before the room was there, arrives twice and after the end.
    let plan = crate::policy::plan::Plan {
        preempt: Some((JobId(2), vec![JobId(1)])),
        ..crate::policy::plan::Plan::default()
    };
    let (_, stale, step) = world.kernel.start(&plan, world.now);
    assert_eq!((stale, step.changes.len()), (1, 0), "it leaves already");
    late.now = late.now.plus_s(3);
    late.end();
    late.schedule();
    let (_, stale, step) = late.kernel.start(&plan, late.now);
    assert_eq!((stale, step.changes.len()), (1, 0), "it has started");
}
