//! *Purpose*: RQ on Redis.
//!
//! *Owns*: a Redis on a socket of its own that syncs every write, two workers that fork for each
//! job.
//!
//! *Promises*: what was accepted is on disk.
//!
//! *Not here*: workers without a fork, which share one process among all jobs.

use std::time::Duration;

use super::home::{until, version};
use super::python::{self, Driver};
use super::{Home, Kind, Peer};

/// RQ.
pub const KIND: Kind = Kind {
    name: "rq",
    install: "apt-get install redis-server; python3 -m venv /opt/compare && \
              /opt/compare/bin/pip install rq redis",
    client: "Python API, one pipeline",
    durable: "yes (appendfsync always)",
    jobs: 120,
    probes: 50,
    gap_ms: 100,
    accepts: 2_000,
    version: || {
        let redis = version("redis-server", &["--version"])?;
        let redis = redis.split_whitespace().nth(2)?.trim_start_matches("v=").to_owned();
        Some(format!("{}, redis {redis}", python::version("rq")?))
    },
    start,
};

fn start(home: &mut Home) -> Result<Box<dyn Peer>, String> {
    let socket = home.at("redis.socket");
    let mut redis = home.command("redis-server");
    redis.args(["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
    redis.arg("--dir").arg(home.path()).arg("--unixsocket").arg(&socket);
    home.daemon(redis)?;
    until("redis", Duration::from_millis(20), || Ok(socket.exists()))?;
    home.file("work.py", include_str!("rq_work.py"));
    for _ in 0..2 {
        let mut worker = home.command(python::interpreter());
        worker.args(["-m", "rq.cli", "worker", "--quiet", "--url"]);
        worker.arg(format!("unix://{}", socket.display())).env("PYTHONPATH", home.path());
        home.daemon(worker)?;
    }
    let driver = Driver::start(home, "driver.py", include_str!("rq.py"))?;
    Ok(Box::new(driver) as Box<dyn Peer>)
}
