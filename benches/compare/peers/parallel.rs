//! *Purpose*: those that start files and keep no queue.
//!
//! *Owns*: bare spawns, `xargs -P2`, GNU parallel.
//!
//! *Promises*: each job's output is kept.
//!
//! *Not here*: how the first two are made (`limits`).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::home::version;
use super::{Home, Kind, Peer};
use crate::limits;

/// The machine itself.
pub const SPAWN: Kind = Kind {
    name: "posix_spawn",
    install: "",
    client: "2 threads, spawn and wait",
    durable: "no queue",
    jobs: 2_000,
    probes: 0,
    gap_ms: 0,
    accepts: 0,
    version: || Some("none".to_owned()),
    start: |_| Ok(Box::new(Limit(limits::spawn_rate))),
};

/// What everybody is put in ratio to.
pub const XARGS: Kind = Kind {
    name: "xargs",
    install: "apt-get install findutils",
    client: "a shell a job opens its files",
    version: || version("xargs", &["--version"]),
    start: |_| Ok(Box::new(Limit(limits::xargs_rate))),
    ..SPAWN
};

/// GNU parallel.
pub const GNU: Kind = Kind {
    name: "parallel",
    install: "apt-get install parallel",
    client: "one command",
    jobs: 400,
    version: || version("parallel", &["--version"]),
    start: |_| Ok(Box::new(Gnu)),
    ..SPAWN
};

struct Limit(fn(&std::path::Path, &[PathBuf]) -> f64);

impl Peer for Limit {
    fn run(&mut self, home: &Home, scripts: &[PathBuf]) -> Result<Duration, String> {
        let rate = (self.0)(home.path(), scripts);
        Ok(Duration::from_secs_f64(scripts.len() as f64 / rate))
    }
}

struct Gnu;

impl Peer for Gnu {
    fn run(&mut self, home: &Home, scripts: &[PathBuf]) -> Result<Duration, String> {
        let list = limits::list(home.path(), scripts);
        // Its request to be cited is answered once, in its home.
        home.shell("mkdir -p .parallel && touch .parallel/will-cite", &[])?;
        let before = Instant::now();
        home.shell("exec parallel -j2 --results results <\"$1\"", &[&list])?;
        Ok(before.elapsed())
    }
}
