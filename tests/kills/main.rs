//! *Purpose*: kills at random moments, under load, for as long as one likes.
//!
//! *Owns*: the rounds. One data folder goes through all of them.
//!
//! *Promises*: `DOWNBEAT_KILL_ROUNDS` rounds (200 when nobody says), or `DOWNBEAT_KILL_SECONDS`;
//! the same `DOWNBEAT_KILL_SEED` makes the same choices, though not the same moments; what a
//! round leaves behind in this test does not grow with the rounds.
//!
//! *Not here*: kills at named points (`tests/faults`), what a job may become (`job`), who is
//! killed (`targets`), what must hold meanwhile (`consistency`).

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod consistency;
mod job;
mod load;
mod stats;
mod targets;

use std::time::{Duration, Instant};

use common::{Server, until};
use load::Load;
use stats::Stats;
use targets::Targets;

/// Rounds when nobody says.
const ROUNDS: u64 = 200;
/// CPUs of the server: enough that jobs overlap, few enough that some wait.
const CPUS: usize = 16;
/// Latest moment of a kill after the round's load began.
const MOMENT_MS: u64 = 120;
/// Longest time without a server.
const PAUSE_MS: u64 = 150;
/// Latest moment of a kill after a start began: the server listens by then.
const BOOT_MS: u64 = 40;
/// Rounds between two checks of the consistency, which cost more than a round.
const CHECK_EVERY: u64 = 20;
/// Rounds between two lines of progress.
const SAY_EVERY: u64 = 500;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Time in which nothing is done: the load and the server are at work.
fn pass(ms: u64) {
    let end = Instant::now() + Duration::from_millis(ms);
    if ms > 0 {
        until("time to pass", || if Instant::now() >= end { Ok(()) } else { Err("early".into()) });
    }
}

#[test]
fn whatever_is_killed_whenever_nothing_is_lost_doubled_or_invented() {
    let rounds = setting("DOWNBEAT_KILL_ROUNDS").unwrap_or(ROUNDS);
    let time = setting("DOWNBEAT_KILL_SECONDS").map(Duration::from_secs);
    let seed = setting("DOWNBEAT_KILL_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("DOWNBEAT_KILL_SEED={seed}");
    let begun = Instant::now();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut server = Server::unstarted(&["--cpus", &CPUS.to_string()]);
    server.up();
    let mut load = Load::new(server.dir.path());
    let mut stats = Stats::default();
    while time.map_or(stats.rounds < rounds, |time| begun.elapsed() < time) {
        stats.rounds += 1;
        round(&mut server, &mut load, &mut stats, &mut rng);
        if stats.rounds % CHECK_EVERY == 0 {
            consistency::agree(&server, &load, &mut stats);
        }
        if stats.rounds % SAY_EVERY == 0 {
            println!("{} rounds, {} jobs, {:?}", stats.rounds, stats.jobs, begun.elapsed());
        }
        if !stats.broken.is_empty() {
            break;
        }
    }
    load.finish(&server, &mut stats);
    consistency::agree(&server, &load, &mut stats);
    consistency::all_is_over(&server, &load, &mut stats);
    let took = begun.elapsed();
    let table = stats.table(took);
    println!("{table}DOWNBEAT_KILL_SEED={seed}");
    assert!(stats.broken.is_empty(), "seed {seed}, {took:?}\n{}", stats.broken.join("\n"));
    stats.history_costs_nothing();
}

fn round(server: &mut Server, load: &mut Load, stats: &mut Stats, rng: &mut fastrand::Rng) {
    let targets = Targets::choose(rng);
    let busy = load.begin(server, rng);
    pass(rng.u64(0..=MOMENT_MS));
    let killed = targets.kill(server);
    load.join(busy);
    load.mark(&killed);
    stats.killed(targets);
    if targets.server {
        if rng.u8(0..4) == 0 {
            pass(rng.u64(0..=PAUSE_MS));
        }
        if rng.u8(0..6) == 0 {
            die_while_booting(server, load, stats, rng);
        }
        let begun = Instant::now();
        server.up();
        stats.booted(begun.elapsed(), server.pid());
    }
    load.settle(server, stats);
}

fn die_while_booting(
    server: &mut Server,
    load: &mut Load,
    stats: &mut Stats,
    rng: &mut fastrand::Rng,
) {
    server.spawn();
    pass(rng.u64(0..=BOOT_MS));
    let targets = Targets { server: true, daemon: rng.bool(), ..Targets::default() };
    let killed = targets.kill(server);
    load.mark(&killed);
    stats.booting += 1;
}
