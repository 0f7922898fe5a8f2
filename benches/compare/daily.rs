//! *Purpose*: what Downbeat itself costs and reaches on an ordinary day.
//!
//! *Owns*: the sections `rate`, `latency`, `acceptance`, `idle`.
//!
//! *Promises*: rates stand beside `xargs -P2` of the same turn, latencies beside a bare spawn.
//!
//! *Not here*: deep queues (`depth`), much history (`history`), peers (`table`).

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::limits::xargs_rate;
use super::machine::{Cpu, rss_kib};
use super::server::{BATCH, CONNECTIONS, Downbeat, trivial};
use super::settings::Settings;
use super::sums::{median, percentile, rate, spread_ms, thousands};
use super::work;

/// How long single submits are counted.
const ACCEPT_FOR: Duration = Duration::from_secs(5);
/// Largest batches that are counted.
const BATCHES: usize = 10;
/// Jobs that warm a server up before it is probed.
const WARM_UP: usize = 20;
/// Gaps between probes, µs: the machine is idle again, and no tick is met regularly.
const GAP_US: std::ops::Range<u64> = 2_000..20_000;
/// Rests before a submit, ms: none, and such as people and pipelines leave.
const RESTS_MS: [u64; 4] = [0, 10, 100, 1_000];
/// Probes after the longest rests: a minute of them.
const RESTED_PROBES: usize = 60;
/// After a start, until caches are filled and threads are parked.
const SETTLE: Duration = Duration::from_secs(2);

/// Jobs per second beside xargs, and what a job costs the server and its step daemon.
pub fn rates(settings: &Settings) {
    let jobs = settings.jobs;
    println!("\n## Rate\n");
    println!("{} jobs a turn, batch submit → last end; CPU is µs a job of", thousands(jobs));
    println!("the process alone (user + system, and by the scheduler's finer count): the server,");
    println!("its step daemon; neither the jobs' nor their supervisors'.\n");
    println!("| turn | downbeat/s | xargs/s | ratio | server CPU | step daemon CPU |");
    println!("|---|---|---|---|---|---|");
    let mut server = Downbeat::start(2);
    let stepd = server.server.step_daemon();
    let pid = server.server.pid();
    let work = tempfile::tempdir().unwrap();
    let scripts = work::scripts(work.path(), jobs);
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut costs, mut step_costs) = (Vec::new(), Vec::new());
    for turn in 1..=settings.turns {
        let before = (Cpu::of(pid), Cpu::of(stepd));
        let our = server.batch_rate(&trivial(), jobs);
        let cost = Cpu::of(pid).since(before.0, jobs);
        let step_cost = Cpu::of(stepd).since(before.1, jobs);
        let their = xargs_rate(work.path(), &scripts);
        let (one, two) = (cpu(cost), cpu(step_cost));
        println!("| {turn} | {our:.0} | {their:.0} | {:.2} | {one} | {two} |", our / their);
        ours.push(our);
        theirs.push(their);
        ratios.push(our / their);
        costs.push(cost.fine);
        step_costs.push(step_cost.fine);
    }
    println!(
        "| median | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} |",
        median(&ours),
        median(&theirs),
        median(&ratios),
        median(&costs),
        median(&step_costs)
    );
    server.server.is_clean();
}

fn cpu(cost: Cpu) -> String {
    format!("{:.0} + {:.0} ({:.0})", cost.user, cost.system, cost.fine)
}

/// Idle submit → first act of the script, beside a bare spawn of the same script.
pub fn latency(settings: &Settings) {
    println!("\n## Latency\n");
    let mut server = Downbeat::start(2);
    let dir = tempfile::tempdir().unwrap();
    server.batch_rate(&trivial(), WARM_UP);
    let ours = probe(&mut server, settings.probes);
    let bare = bare(dir.path(), settings.probes, GAP_US);
    println!("- idle submit → first act: {}", spread_ms(&ours));
    println!("- bare spawn → first act: {}", spread_ms(&bare));
    println!("\nBy the rest before it, about as long as said; ms, p50 / p95:\n");
    println!("| rest | submit → first act | bare spawn → first act | beyond it |");
    println!("|---|---|---|---|");
    for rest in RESTS_MS {
        let gap_us = rest * 900..rest * 1_100 + 1;
        let probes = if rest < 100 { settings.probes } else { settings.probes.min(RESTED_PROBES) };
        let ours = probe_after(&mut server, probes, gap_us.clone());
        let bare = self::bare(dir.path(), probes, gap_us);
        let both = |of: &[f64]| [50, 95].map(|percent| percentile(of, percent));
        let ([our, our_95], [its, its_95]) = (both(&ours), both(&bare));
        println!(
            "| {rest} ms | {our:.2} / {our_95:.2} | {its:.2} / {its_95:.2} | {:.2} / {:.2} |",
            our - its,
            our_95 - its_95
        );
    }
}

/// Bare spawn → first act, ms.
fn bare(dir: &std::path::Path, probes: usize, gap_us: std::ops::Range<u64>) -> Vec<f64> {
    let bare = work::latencies(dir, probes, gap_us, |_, path| {
        let job = Command::new(path).stdin(Stdio::null()).stdout(Stdio::null()).status();
        job.map(drop).map_err(|e| e.to_string())
    });
    bare.unwrap()
}

/// Submit → first act, ms, over one keep-alive connection.
pub fn probe(server: &mut Downbeat, probes: usize) -> Vec<f64> {
    probe_after(server, probes, GAP_US)
}

/// The same after such rests, µs.
fn probe_after(server: &mut Downbeat, probes: usize, gap_us: std::ops::Range<u64>) -> Vec<f64> {
    let dir = tempfile::tempdir().unwrap();
    let submit = |text: &str, _: &std::path::Path| {
        server.submit(&json!({ "script": text, "priority": 100 }));
        Ok(())
    };
    work::latencies(dir.path(), probes, gap_us, submit).unwrap()
}

/// Submits per second while every CPU is held, each durable before it is answered.
pub fn acceptance(_: &Settings) {
    println!("\n## Acceptance while the machine is full\n");
    let (single, batched) = accepted();
    println!("- single submits over {CONNECTIONS} connections: {}/s", rate(single));
    println!("- batches of {}: {} jobs/s", thousands(BATCH), rate(batched));
}

/// Jobs accepted per second: one by one, and in the largest batches.
pub fn accepted() -> (f64, f64) {
    let mut server = Downbeat::start(2);
    server.hold(2);
    let single = server.flood(&trivial(), usize::MAX, ACCEPT_FOR);
    server.resting.pending = single.answered as u64;
    server.rest();
    let batch = server.batch(&trivial(), BATCH);
    let before = Instant::now();
    for _ in 0..BATCHES {
        server.send_batch(&batch);
    }
    let batched = (BATCHES * BATCH) as f64 / before.elapsed().as_secs_f64();
    (single.rate(), batched)
}

/// What a server costs that nobody uses.
pub fn idle(settings: &Settings) {
    println!("\n## Idle\n");
    let server = Downbeat::start(2);
    let processes = [("server", server.server.pid()), ("step daemon", server.server.step_daemon())];
    std::thread::sleep(SETTLE);
    let before = processes.map(|(_, pid)| Cpu::of(pid));
    std::thread::sleep(settings.idle);
    for ((name, pid), before) in processes.into_iter().zip(before) {
        let spent = Cpu::of(pid).fine - before.fine;
        let percent = spent / settings.idle.as_micros() as f64 * 100.0;
        let rss = rss_kib(pid) / 1024.0;
        println!("- {name}: {percent:.3} % of a core over {:?}, RSS {rss:.1} MiB", settings.idle);
    }
    let folder = fs::read_dir(server.server.data()).map_or(0, Iterator::count);
    println!("- data folder: {folder} entries");
}
