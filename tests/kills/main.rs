//! *Purpose*: kills at random moments, under load, for as long as one likes.
//!
//! *Owns*: the rounds. One data folder goes through all of them.
//!
//! *Promises*: `DOWNBEAT_KILL_ROUNDS` rounds (200 when nobody says), or `DOWNBEAT_KILL_SECONDS`;
//! the same `DOWNBEAT_KILL_SEED` makes the same choices, though not the same moments; what a
//! round leaves behind in this test does not grow with the rounds.
//!
//! *Not here*: kills at named points (`tests/faults`), what a job may become (`job`), who is
//! killed (`victims`), what must hold meanwhile (`books`).

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod books;
mod job;
mod load;
mod tally;
mod victims;

use std::time::{Duration, Instant};

use common::{Server, until};
use load::Load;
use tally::Tally;
use victims::Victims;

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
/// Rounds between two looks at the books, which cost more than a round.
const BOOKS_EVERY: u64 = 20;
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
    let mut tally = Tally::default();
    while time.map_or(tally.rounds < rounds, |time| begun.elapsed() < time) {
        tally.rounds += 1;
        round(&mut server, &mut load, &mut tally, &mut rng);
        if tally.rounds % BOOKS_EVERY == 0 {
            books::agree(&server, &load, &mut tally);
        }
        if tally.rounds % SAY_EVERY == 0 {
            println!("{} rounds, {} jobs, {:?}", tally.rounds, tally.jobs, begun.elapsed());
        }
        if !tally.broken.is_empty() {
            break;
        }
    }
    load.finish(&server, &mut tally);
    books::agree(&server, &load, &mut tally);
    books::all_is_over(&server, &load, &mut tally);
    let took = begun.elapsed();
    let table = tally.table(took);
    println!("{table}DOWNBEAT_KILL_SEED={seed}");
    assert!(tally.broken.is_empty(), "seed {seed}, {took:?}\n{}", tally.broken.join("\n"));
    tally.history_costs_nothing();
}

fn round(server: &mut Server, load: &mut Load, tally: &mut Tally, rng: &mut fastrand::Rng) {
    let victims = Victims::choose(rng);
    let busy = load.begin(server, rng);
    pass(rng.u64(0..=MOMENT_MS));
    let killed = victims.kill(server);
    load.join(busy);
    load.mark(&killed);
    tally.killed(victims);
    if victims.server {
        if rng.u8(0..4) == 0 {
            pass(rng.u64(0..=PAUSE_MS));
        }
        if rng.u8(0..6) == 0 {
            die_while_booting(server, load, tally, rng);
        }
        let begun = Instant::now();
        server.up();
        tally.booted(begun.elapsed(), server.pid());
    }
    load.settle(server, tally);
}

fn die_while_booting(
    server: &mut Server,
    load: &mut Load,
    tally: &mut Tally,
    rng: &mut fastrand::Rng,
) {
    server.spawn();
    pass(rng.u64(0..=BOOT_MS));
    let victims = Victims { server: true, daemon: rng.bool(), ..Victims::default() };
    let killed = victims.kill(server);
    load.mark(&killed);
    tally.booting += 1;
}
