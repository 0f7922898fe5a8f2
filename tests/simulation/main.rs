//! *Purpose*: a million random lives of kernel and outbox against a fake disk and a fake engine.
//!
//! *Owns*: the simulated world; faults: lost and doubled messages, lost commit answers, refused
//! commits, crashes at each edge of a commit, clock jumps both ways.
//!
//! *Promises*: one seed is one run; invariants hold after each step; when the faults stop, every
//! job ends and no CPU is held. A failing seed prints the command that repeats it.
//!
//! *Not here*: real processes (`tests/process.rs`).

#![allow(clippy::unwrap_used)]

mod disk;
mod engine;
mod world;

use world::World;

/// The promise of the project: at least so many steps in each run of the tests.
const STEPS_MIN: u64 = 1_000_000;
/// Steps of one seed before the faults stop.
const STEPS_PER_SEED: u64 = 3_000;

fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..STEPS_PER_SEED {
        world.step();
    }
    world.come_to_rest();
    world
}

#[test]
fn a_million_random_steps_break_nothing_and_end_every_job() {
    let first = match std::env::var("DOWNBEAT_SIM_SEED") {
        Ok(seed) => seed.parse().expect("DOWNBEAT_SIM_SEED is a number"),
        Err(_) => 1,
    };
    let once = std::env::var_os("DOWNBEAT_SIM_SEED").is_some();
    let (mut steps, mut seeds, mut jobs, mut crashes, mut lost_answers, mut refused) =
        (0, 0, 0, 0, 0, 0);
    for seed in first.. {
        let world = std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|_| {
            panic!(
                "seed {seed} failed; repeat: DOWNBEAT_SIM_SEED={seed} cargo test --test simulation"
            )
        });
        seeds += 1;
        steps += world.steps;
        jobs += world.jobs_acknowledged();
        crashes += world.crashes;
        lost_answers += world.lost_answers;
        refused += world.refused_commits;
        if once || steps >= STEPS_MIN {
            break;
        }
    }
    println!(
        "simulation: {steps} steps, {seeds} seeds from {first}, {jobs} jobs, {crashes} crashes, \
         {lost_answers} lost commit answers, {refused} refused commits"
    );
    assert!(once || steps >= STEPS_MIN, "only {steps} steps");
    assert!(once || (crashes > 500 && lost_answers > 1_000 && refused > 1_000));
}

#[test]
fn one_seed_is_one_run() {
    let (a, b) = (run(7), run(7));
    assert_eq!(a.fingerprint(), b.fingerprint());
    assert_ne!(a.fingerprint(), run(8).fingerprint());
}
