//! *Purpose*: what a long queue costs.
//!
//! *Owns*: the section `depth`: rate, latency, listing, restart and memory at each depth.
//!
//! *Promises*: each deep turn stands beside a turn of a server with an empty queue, at once.
//!
//! *Not here*: ended jobs (`history`).
//!
//! **Why the backlog is honest.** The server has three CPUs. A sleeper holds one, each job of the
//! backlog asks for all three, the probes ask for one. So the backlog can never start, the head of
//! it holds a reservation at the sleeper's end, and the probes, whose priority is higher, run two
//! at a time as everywhere else in this program. Nothing is cheaper for it than with jobs that
//! could run: whenever a CPU is free, the scheduler looks at the backlog, makes the reservation
//! anew, and tries what stands behind the head, all in vain. It tries one of each kind (priority,
//! CPUs, limit), so the backlog has as many kinds as there can be minutes in a week. The server
//! with the empty queue has the sleeper too.
//!
//! **The pass** is timed apart, in this process, on a kernel with the same queue: view and plan,
//! with two CPUs free, nothing to start.

use std::time::Instant;

use downbeat::kernel::testing::KernelBuilder;
use downbeat::kernel::testing::job::job;
use downbeat::policy::name::Policy;
use downbeat::policy::pass::plan;
use downbeat::time::Time;
use serde_json::{Value, json};

use super::daily::probe;
use super::listing::{self, Asked};
use super::machine::rss_kib;
use super::picture::{Curves, Point};
use super::server::{BATCH, Downbeat};
use super::settings::Settings;
use super::sums::{median, percentile, rate, thousands};
use super::work::TRIVIAL;

/// CPUs: one for the sleeper, two for the probes.
pub const CPUS: u32 = 3;
/// Quick jobs of one turn.
const QUICK: usize = 500;
/// Probes of latency at each depth.
const PROBES: usize = 100;
/// Restarts at each depth.
const RESTARTS: usize = 3;
/// Time limits of the backlog, minutes: so many kinds of job.
const LIMITS: usize = 10_000;
/// Passes that are timed.
const PASSES: usize = 2_000;

/// Makes the section.
pub fn curves(settings: &Settings) {
    println!("\n## Depth of the queue\n");
    println!("{QUICK} quick jobs a turn ahead of so many pending ones, beside an empty queue;");
    println!("a page has 1,000 jobs; memory is beyond that of the empty server.\n");
    let mut world = World::new();
    let mut points = Vec::new();
    let mut pages = Vec::new();
    for &depth in &settings.depths {
        let loaded = world.fill(depth);
        let (point, asked) = world.measure(settings.turns, depth, loaded);
        points.push(point);
        pages.push((depth, asked));
    }
    println!(
        "| pending | jobs/s | empty/s | ratio | latency p50/p95 ms | loaded/s | restart ms \
         | B a job, loaded | restarted | pass p50/p99 µs |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    points.iter().for_each(Row::print);
    for (depth, asked) in &pages {
        println!("\n### Pages with {} pending", thousands(*depth));
        listing::print(asked);
    }
    let point = |(row, (_, asked)): (&Row, &(usize, Vec<Asked>))| Point {
        depth: row.depth,
        rate: row.rate,
        ratio: row.ratio,
        restart_ms: row.restart_ms,
        page_ms: asked.iter().map(Asked::p50).fold(0.0, f64::max),
    };
    let curves = Curves { points: points.iter().zip(&pages).map(point).collect() };
    curves.draw(&settings.picture);
}

struct Row {
    depth: usize,
    rate: f64,
    empty: f64,
    ratio: f64,
    latency: Vec<f64>,
    loaded: Option<f64>,
    restart_ms: f64,
    bytes: [Option<f64>; 2],
    passes_us: Vec<f64>,
}

impl Row {
    fn print(&self) {
        let known = |value: Option<f64>| value.map_or("–".to_owned(), rate);
        println!(
            "| {} | {:.0} | {:.0} | {:.2} | {:.2} / {:.2} | {} | {:.0} | {} | {} | {:.0} / {:.0} |",
            thousands(self.depth),
            self.rate,
            self.empty,
            self.ratio,
            percentile(&self.latency, 50),
            percentile(&self.latency, 95),
            known(self.loaded),
            self.restart_ms,
            known(self.bytes[0]),
            known(self.bytes[1]),
            percentile(&self.passes_us, 50),
            percentile(&self.passes_us, 99),
        );
    }
}

struct World {
    empty: Downbeat,
    deep: Downbeat,
    depth: usize,
}

/// The so many of the jobs that wait for ever.
pub fn backlog(n: usize) -> Value {
    json!({ "script": TRIVIAL, "cpus": CPUS, "priority": -100, "time_limit": n % LIMITS + 1 })
}

/// View and plan over the same queue, with two CPUs free.
fn passes_us(depth: usize) -> Vec<f64> {
    let mut kernel = KernelBuilder::new().cpus(CPUS).holds(1, job(), [0]).build();
    for n in 0..depth {
        let limit_s = (n % LIMITS + 1) as i64 * 60;
        let one = job().cpus(CPUS).time_limit(limit_s).priority(-100);
        kernel.enter([one], Time(n as i64));
    }
    let policy = Policy::default();
    let pass = || {
        let before = Instant::now();
        let plan = plan(policy, &kernel.input(&policy, Time(1)));
        assert!(plan.start.is_empty(), "nothing fits");
        before.elapsed().as_secs_f64() * 1e6
    };
    (0..PASSES).map(|_| pass()).collect()
}

fn quick() -> Value {
    json!({ "script": TRIVIAL, "priority": 100 })
}

impl World {
    fn new() -> World {
        let start = || {
            let mut server = Downbeat::start(CPUS);
            server.hold(1);
            server
        };
        World { empty: start(), deep: start(), depth: 0 }
    }

    /// Brings the queue to this depth; answers how many jobs a second it took in.
    fn fill(&mut self, depth: usize) -> Option<f64> {
        let missing = depth.checked_sub(self.depth).expect("depths grow");
        let before = Instant::now();
        for at in (0..missing).step_by(BATCH) {
            let jobs = self.depth + at..self.depth + missing.min(at + BATCH);
            let batch = self.deep.batch_of(jobs.map(backlog));
            self.deep.send_batch(&batch);
        }
        self.depth = depth;
        self.deep.resting.pending = depth as u64;
        self.deep.rest();
        (missing > 0).then(|| missing as f64 / before.elapsed().as_secs_f64())
    }

    fn measure(&mut self, turns: usize, depth: usize, loaded: Option<f64>) -> (Row, Vec<Asked>) {
        let (mut rates, mut empties, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..turns {
            let empty = self.empty.batch_rate(&quick(), QUICK);
            let deep = self.deep.batch_rate(&quick(), QUICK);
            rates.push(deep);
            empties.push(empty);
            ratios.push(deep / empty);
        }
        let latency = probe(&mut self.deep, PROBES);
        let asked = self.pages();
        let grown = self.bytes();
        let restarts: Vec<f64> = (0..RESTARTS).map(|_| self.deep.restart()).collect();
        self.deep.rest();
        self.empty.restart();
        let row = Row {
            depth,
            rate: median(&rates),
            empty: median(&empties),
            ratio: median(&ratios),
            latency,
            loaded,
            restart_ms: median(&restarts),
            bytes: [grown, self.bytes()],
            passes_us: passes_us(depth),
        };
        (row, asked)
    }

    /// Memory beyond that of the empty server, bytes for each pending job.
    fn bytes(&self) -> Option<f64> {
        let kib = rss_kib(self.deep.server.pid()) - rss_kib(self.empty.server.pid());
        (self.depth > 0).then(|| kib.max(0.0) * 1024.0 / self.depth as f64)
    }

    fn pages(&mut self) -> Vec<Asked> {
        let newest = self.deep.get("/api/v1/jobs?limit=1")["jobs"][0]["id"].as_i64().unwrap();
        let middle = newest / 2;
        let all = "/api/v1/jobs?limit=1000";
        let pending = "/api/v1/jobs?state=PENDING&limit=1000";
        listing::ask(
            &mut self.deep,
            &[
                ("all, first page", all.to_owned()),
                ("all, middle page", format!("{all}&cursor={middle}")),
                ("pending, first page", pending.to_owned()),
                ("pending, middle page", format!("{pending}&cursor={middle}")),
                ("resources", "/api/v1/resources".to_owned()),
            ],
        )
    }
}
