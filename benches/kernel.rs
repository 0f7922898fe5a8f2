//! *Purpose*: what deciding costs: a transition, a planning pass, a job's life in the kernel.
//!
//! *Owns*: criterion benches of the pure core.
//!
//! *Promises*: no I/O.
//!
//! *Not here*: commits (`benches/store.rs`), end to end (`benches/compare`).

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use downbeat::job::ids::{Attempt, CpuId, JobId};
use downbeat::job::outcome::{EndState, Exit, ExitCode, Handle, Usage};
use downbeat::job::state::{EndReason, StateWord};
use downbeat::kernel::parts::eligibility::DependencySnapshot;
use downbeat::kernel::parts::samples::{Counts, Samples};
use downbeat::kernel::state::Kernel;
use downbeat::kernel::testing::job::{JobBuilder, job};
use downbeat::kernel::testing::{KernelBuilder, exit};
use downbeat::kernel::transition::{Fact, JobState, transition};
use downbeat::kernel::views::sampled::levels;
use downbeat::policy::input::{PassInput, PendingJob, Running};
use downbeat::policy::name::Policy;
use downbeat::policy::pass::{Planner, plan};
use downbeat::policy::plan::Plan;
use downbeat::resources::capacity::{Capacity, Demand};
use downbeat::resources::ledger::Ledger;
use downbeat::time::Time;

fn kernel(cpus: u32, pending: i64) -> Kernel {
    let mut kernel = KernelBuilder::new().cpus(cpus).build();
    kernel.enter((0..pending).map(|n| one(cpus, n)), Time(0));
    kernel
}

/// One of many kinds of job for a machine of so many CPUs.
fn one(cpus: u32, n: i64) -> JobBuilder {
    job().cpus((n % i64::from(cpus)) as u32 + 1).time_limit(60 + n % 3_600)
}

fn planned(kernel: &Kernel) -> Plan {
    let policy = Policy::default();
    plan(policy, &kernel.input(&policy, Time(1)))
}

fn benches(c: &mut Criterion) {
    for pending in [10, 1_000, 100_000] {
        let kernel = kernel(64, pending);
        c.bench_function(&format!("view and plan, {pending} pending, 64 CPUs"), |b| {
            b.iter(|| black_box(planned(&kernel)));
        });
    }
    for (cpus, running) in [(4_096, 4_000), (16_384, 10_000)] {
        let kernel = crowded(cpus, running);
        let what = format!("{cpus} CPUs, {running} running, 10,000 pending");
        c.bench_function(&format!("view and plan, {what}"), |b| {
            b.iter(|| black_box(planned(&kernel)));
        });
        c.bench_function(&format!("snapshot, {what}"), |b| b.iter(|| black_box(kernel.snapshot())));
        let (now, mut samples) = (kernel.snapshot(), Samples::default());
        let mut time = Time(0);
        c.bench_function(&format!("a commit is added to its minute, {what}"), |b| {
            b.iter(|| {
                time = Time(time.0 + 1_000);
                black_box(samples.at(time, levels(&now), Counts::default()))
            });
        });
    }
    for name in ["fcfs+easy", "wfp3+easy@259200"] {
        let policy: Policy = name.parse().unwrap();
        let input = blocked(policy);
        let mut planner = Planner::new(policy, 1);
        c.bench_function(&format!("one pass of {name}, 10,000 queued, the head blocked"), |b| {
            b.iter(|| black_box(planner.pass(&input)));
        });
    }
    c.bench_function("submit, grant, start and end one job", |b| {
        b.iter_batched_ref(
            || kernel(4, 0),
            |kernel| black_box(one_life(kernel)),
            BatchSize::SmallInput,
        );
    });
}

/// A wide machine on which jobs of one CPU run, some CPUs are free, and wide jobs wait.
fn crowded(cpus: u32, running: u32) -> Kernel {
    let mut kernel = kernel(cpus, 0);
    let ids = kernel.enter((0..running).map(|_| one(cpus, 0)), Time(0));
    let (started, _, _) = kernel.start(&Plan { start: ids, ..Plan::default() }, Time(0));
    assert_eq!(started, running);
    let wide = i64::from(cpus / 2);
    kernel.enter((0..10_000).map(|n| one(cpus, wide + n % 1_000)), Time(0));
    kernel
}

/// 16 of 1,024 CPUs are free; the first of the line is too wide for them, and whoever fits beside
/// it would delay it: all 10,000 are looked at, nobody starts.
fn blocked(policy: Policy) -> PassInput {
    let free = Capacity::of(16);
    // By whatever order, the line is led by jobs that need the whole machine.
    let cpus = |n: i64| if n % 100 == 0 { 1_024 } else { 17 - n as u32 % 17 };
    let waiting = |n: i64| PendingJob {
        job: JobId(n),
        cpus: cpus(n),
        request: if n % 100 == 0 { 3_600 } else { 7_201 + n * 7_919 % 86_400 },
        submitted: n * 60 - 600_000,
        ..PendingJob::default()
    };
    let running = (0..252).map(|n| Running {
        job: JobId(-1 - n),
        end: 1 + n * 7_919 % 7_200,
        held: Capacity::of(4),
    });
    let input = PassInput {
        now: 0,
        free,
        total: Capacity::of(1_024),
        running: running.collect(),
        queue: (0..10_000).map(waiting).collect(),
        ..PassInput::default()
    };
    let plan = Planner::new(policy, 1).pass(&input);
    assert!(plan.start.is_empty() && plan.head.is_some_and(|(_, at)| at.is_some()), "{plan:?}");
    input
}

fn one_life(kernel: &mut Kernel) -> usize {
    let (specs, elsewhere) = (vec![one(4, 0).spec()], DependencySnapshot::default());
    let (ids, step) = kernel.submit(specs, &elsewhere, &"bench".into(), Time(0));
    kernel.made_durable(step.effects);
    kernel.start(&planned(kernel), Time(1));
    let attempt = Attempt { job: ids.first().copied().unwrap_or(JobId(0)), n: 1 };
    kernel.fact(attempt, Fact::Started(HANDLE), Time(2)).unwrap();
    kernel.fact(attempt, exited(), Time(3)).unwrap().changes.len()
}

const HANDLE: Handle = Handle { pid: 1, start_time: Time(2) };

fn exited() -> Fact {
    Fact::Exited(Exit { handle: Some(HANDLE), ..exit(0, Time(3)) })
}

/// A state of each kind; those that hold CPUs hold one of a ledger's.
fn states(ledger: &mut Ledger) -> Vec<JobState> {
    let mut cpu = || ledger.allocate(Attempt { job: JobId(1), n: 1 }, &Demand::of(1)).unwrap();
    vec![
        JobState::Pending,
        JobState::Starting(cpu()),
        JobState::Running(cpu(), HANDLE),
        JobState::Completing(cpu(), EndReason::Cancelled, Some(HANDLE)),
        JobState::Finished(end()),
    ]
}

fn end() -> EndState {
    EndState {
        word: StateWord::Completed,
        exit_code: Some(ExitCode { code: 0, signal: 0 }),
        error: None,
        end_time: Time(3),
        usage: Usage::default(),
        handle: Some(HANDLE),
        warnings: Vec::new(),
    }
}

fn facts(ledger: &mut Ledger) -> Vec<Fact> {
    let cpu = ledger.allocate(Attempt { job: JobId(2), n: 1 }, &Demand::of(1)).unwrap();
    vec![
        Fact::Granted(cpu),
        Fact::Started(HANDLE),
        exited(),
        Fact::CancelAsked,
        Fact::LimitReached,
        Fact::Lost,
        Fact::LaunchFailed("no such file".into()),
        Fact::Vanished("the machine was started anew".into()),
    ]
}

/// Every state × every fact, 40 steps of the machine, and one by one those of an ordinary life.
fn transitions(c: &mut Criterion) {
    let ledger = || Ledger::new((0..100).map(CpuId));
    let mut all = c.benchmark_group("transition");
    let pairs = || {
        let mut ledger = ledger();
        (0..8)
            .flat_map(|fact| {
                let states = states(&mut ledger).into_iter();
                states
                    .map(|state| (state, facts(&mut ledger).swap_remove(fact)))
                    .collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    };
    all.throughput(Throughput::Elements(pairs().len() as u64));
    all.bench_function("all 40, state × fact", |b| {
        let step = |(state, fact)| black_box(transition(state, fact, Time(4)));
        b.iter_batched(
            pairs,
            |pairs| pairs.into_iter().map(step).collect::<Vec<_>>(),
            BatchSize::SmallInput,
        );
    });
    all.throughput(Throughput::Elements(1));
    for (name, state, fact) in [
        ("pending × granted", 0, 0),
        ("starting × started", 1, 1),
        ("running × exited", 2, 2),
        ("running × cancel asked", 2, 3),
        ("finished × exited, late", 4, 2),
    ] {
        let pair = || {
            let mut ledger = ledger();
            (states(&mut ledger).swap_remove(state), facts(&mut ledger).swap_remove(fact))
        };
        all.bench_function(name, |b| {
            let step = |(state, fact)| transition(state, fact, Time(4));
            b.iter_batched(pair, step, BatchSize::SmallInput);
        });
    }
    all.finish();
}

criterion_group!(group, transitions, benches);
criterion_main!(group);
