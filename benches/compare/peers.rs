//! *Purpose*: everybody who is compared, in one form.
//!
//! *Owns*: [`Peer`], what everybody can do; [`ALL`], who there is, and how much work each is given.
//!
//! *Promises*: each peer is driven by a client of its own kind, tuned as its manual allows, holds
//! itself to two CPUs, and keeps each job's output; who is not installed is named with the line
//! that installs it.
//!
//! *Not here*: how each is driven (a file per peer), the order of turns (`table`).

mod gflow;
mod home;
mod hyperqueue;
mod ours;
mod parallel;
mod pueue;
mod python;
mod qex;
mod rq;
mod slurm;
mod spooler;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use home::{Home, kill_all};

use super::limits::CPUS;
use super::machine::rss_mib_of;
use super::work;

/// A scheduler that runs.
pub trait Peer {
    /// Runs these scripts: submit as many at once as its client can → last end.
    fn run(&mut self, home: &Home, scripts: &[PathBuf]) -> Result<Duration, String>;

    /// Submits one script; returns when that was accepted.
    fn submit(&mut self, _: &Home, _: &Path) -> Result<(), String> {
        Err("it has no queue".to_owned())
    }

    /// Submits per second, one by one, while jobs that sleep hold both CPUs.
    fn accepts(&mut self, home: &Home, count: usize) -> Result<f64, String> {
        let sleeper = work::script(&home.at("sleeper"), work::SLEEPER);
        let trivial = work::script(&home.at("trivial"), work::TRIVIAL);
        for _ in 0..CPUS {
            self.submit(home, &sleeper)?;
        }
        let before = Instant::now();
        for _ in 0..count {
            self.submit(home, &trivial)?;
        }
        Ok(count as f64 / before.elapsed().as_secs_f64())
    }

    /// Resident memory of all its processes, MiB.
    fn rss_mib(&self, home: &Home) -> f64 {
        rss_mib_of(home.path())
    }
}

/// A peer that may be installed.
pub struct Kind {
    /// As `DOWNBEAT_COMPARE_ONLY` names it.
    pub name: &'static str,
    /// What installs it.
    pub install: &'static str,
    /// How its client talks.
    pub client: &'static str,
    /// Whether what it accepted is on disk.
    pub durable: &'static str,
    /// Jobs of one turn: about two seconds of work.
    pub jobs: usize,
    /// Probes of latency; 0 where nothing is submitted.
    pub probes: usize,
    /// Random gaps between probes, ms at most: longer than any tick of it, or each probe would
    /// come just after one, and long enough for it to be idle again.
    pub gap_ms: u64,
    /// Submits that are counted while the machine is full.
    pub accepts: usize,
    /// What it says about its version; `None` when it is not installed.
    pub version: fn() -> Option<String>,
    /// Starts it.
    pub start: fn(&mut Home) -> Result<Box<dyn Peer>, String>,
}

/// Everybody.
pub const ALL: &[Kind] = &[
    ours::BATCHES,
    ours::SINGLES,
    parallel::SPAWN,
    parallel::XARGS,
    parallel::GNU,
    spooler::KIND,
    hyperqueue::KIND,
    qex::KIND,
    rq::KIND,
    slurm::KIND,
    pueue::KIND,
    gflow::KIND,
];
