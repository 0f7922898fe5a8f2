//! *Purpose*: HyperQueue, as its Python package brings it.
//!
//! *Owns*: nothing; the driver stands beside.
//!
//! *Promises*: server and a worker of two cores, one array of tasks a turn.
//!
//! *Not here*: its journal, which the package cannot turn on: nothing is on disk.

use super::python::{self, Driver};
use super::{Kind, Peer};

/// HyperQueue.
pub const KIND: Kind = Kind {
    name: "hyperqueue",
    install: "python3 -m venv /opt/compare && /opt/compare/bin/pip install hyperqueue",
    client: "Python API, one job of many tasks",
    durable: "no (without journal)",
    jobs: 1_000,
    probes: 100,
    gap_ms: 100,
    accepts: 1_000,
    version: || python::version("hyperqueue"),
    start: |home| {
        let driver = Driver::start(home, "driver.py", include_str!("hyperqueue.py"))?;
        Ok(Box::new(driver) as Box<dyn Peer>)
    },
};
