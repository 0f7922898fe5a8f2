//! *Purpose*: Downbeat, driven as its users drive it: over HTTP.
//!
//! *Owns*: [`Downbeat`]: batches, single submits, waiting for the last end.
//!
//! *Promises*: a rate counts from the submit to the instant at which the server shows the last
//! CPU free again, which it does only when the last end is durable.
//!
//! *Not here*: what is measured (`daily`, `depth`, `history`, `table`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::common::Server;
use super::wire::{Connection, Flood, flood, get, post};
use super::work::{SLEEPER, TRIVIAL};

/// Connections that submit at once.
pub const CONNECTIONS: usize = 32;
/// Jobs of the largest batch.
pub const BATCH: usize = 10_000;
/// Between two looks at a server that is busy: an answer costs it some 100 µs.
const LOOK: Duration = Duration::from_millis(5);
/// How long the slowest turn may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// A server and a connection to ask it.
pub struct Downbeat {
    /// The guard.
    pub server: Server,
    /// What it holds when nothing that is measured runs.
    pub resting: Held,
    ask: Connection,
}

/// What a server holds at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// CPUs.
    pub cpus: u64,
    /// Jobs that wait.
    pub pending: u64,
}

impl Downbeat {
    /// A server with so many CPUs to hand out.
    pub fn start(cpus: u32) -> Downbeat {
        Downbeat::take_over(Downbeat::unstarted(cpus))
    }

    /// A server that has not run yet.
    pub fn unstarted(cpus: u32) -> Server {
        Server::unstarted(&["--cpus", &cpus.to_string(), "--log-level", "warn"])
    }

    /// Starts a server.
    pub fn take_over(mut server: Server) -> Downbeat {
        server.up();
        let ask = Connection::open(&server.url);
        Downbeat { server, resting: Held::default(), ask }
    }

    /// Stops it in peace and starts it again; answers how long it took until it was ready, ms.
    pub fn restart(&mut self) -> f64 {
        assert_eq!(self.server.stop(), Some(0), "{}", self.server.log());
        let before = Instant::now();
        self.server.up();
        self.ask = Connection::open(&self.server.url);
        let ready = get(&self.server.url, "/health/ready");
        self.ask.ask(&ready, 200);
        before.elapsed().as_secs_f64() * 1_000.0
    }

    /// A GET; panics unless 200.
    pub fn get(&mut self, path: &str) -> Value {
        serde_json::from_slice(&self.fetch(path)).unwrap()
    }

    /// A GET whose answer nobody reads.
    pub fn fetch(&mut self, path: &str) -> Vec<u8> {
        let request = get(&self.server.url, path);
        self.ask.ask(&request, 200)
    }

    /// One submit; answers the id.
    pub fn submit(&mut self, job: &Value) -> i64 {
        let request = post(&self.server.url, "/api/v1/jobs", job);
        let answer: Value = serde_json::from_slice(&self.ask.ask(&request, 201)).unwrap();
        answer["id"].as_i64().unwrap()
    }

    /// A batch, ready to be sent with [`Downbeat::send_batch`].
    pub fn batch(&self, job: &Value, jobs: usize) -> Vec<u8> {
        self.batch_of(std::iter::repeat_n(job.clone(), jobs))
    }

    /// The request of a batch of these jobs.
    pub fn batch_of(&self, jobs: impl Iterator<Item = Value>) -> Vec<u8> {
        let all: Vec<Value> = jobs.collect();
        post(&self.server.url, "/api/v1/jobs/batch", &json!({ "jobs": all }))
    }

    /// Sends a batch.
    pub fn send_batch(&mut self, batch: &[u8]) {
        self.ask.ask(batch, 201);
    }

    /// Single submits over keep-alive connections.
    pub fn flood(&self, job: &Value, jobs: usize, bound: Duration) -> Flood {
        let request = post(&self.server.url, "/api/v1/jobs", job);
        flood(&self.server.url, &request, 201, CONNECTIONS, jobs, bound)
    }

    /// What it holds now.
    pub fn held(&mut self) -> Held {
        let now = self.get("/api/v1/resources");
        let number = |name: &str| now[name].as_u64().unwrap();
        Held { cpus: number("used_cpus"), pending: number("pending_jobs") }
    }

    /// Waits until it holds exactly this.
    pub fn until(&mut self, wanted: Held) {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.held() {
                now if now == wanted => return,
                now if Instant::now() > end => panic!("waited for {wanted:?}, last saw {now:?}"),
                _ => std::thread::sleep(LOOK),
            }
        }
    }

    /// Waits until nothing that is measured runs any more.
    pub fn rest(&mut self) {
        self.until(self.resting);
    }

    /// Holds `cpus` CPUs by jobs that sleep, until the server is dropped.
    pub fn hold(&mut self, cpus: u64) {
        for _ in 0..cpus {
            let id = self.submit(&json!({ "script": SLEEPER, "priority": 1_000 }));
            self.server.started(id);
        }
        self.resting.cpus += cpus;
    }

    /// Jobs per second: one batch → last end.
    pub fn batch_rate(&mut self, job: &Value, jobs: usize) -> f64 {
        self.rest();
        let batch = self.batch(job, jobs);
        let before = Instant::now();
        self.send_batch(&batch);
        self.rest();
        jobs as f64 / before.elapsed().as_secs_f64()
    }

    /// Jobs per second: single submits over [`CONNECTIONS`] connections → last end.
    pub fn single_rate(&mut self, job: &Value, jobs: usize) -> f64 {
        self.rest();
        let before = Instant::now();
        let flood = self.flood(job, jobs, PATIENCE);
        assert_eq!(flood.answered, jobs);
        self.rest();
        jobs as f64 / before.elapsed().as_secs_f64()
    }
}

/// The trivial job.
pub fn trivial() -> Value {
    json!({ "script": TRIVIAL })
}
