//! *Purpose*: Downbeat among its peers.
//!
//! *Owns*: its two rows: batches, and single submits over many connections.
//!
//! *Promises*: the same turns as everybody.
//!
//! *Not here*: what only Downbeat is asked (`daily`, `depth`, `history`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::home::BOUND;
use super::{Home, Kind, Peer};
use crate::machine::rss_mib_of;
use crate::server::{Downbeat, trivial};

/// A batch a turn.
pub const BATCHES: Kind = Kind {
    name: "downbeat",
    install: "",
    client: "HTTP, one batch",
    durable: "yes",
    jobs: 2_000,
    probes: 200,
    gap_ms: 100,
    accepts: 0,
    version,
    start: |_| Ok(Box::new(Ours { server: Downbeat::start(2), singles: false })),
};

/// One job a request.
pub const SINGLES: Kind = Kind {
    name: "downbeat-singles",
    client: "HTTP, one by one, 32 connections",
    probes: 0,
    accepts: 20_000,
    start: |_| Ok(Box::new(Ours { server: Downbeat::start(2), singles: true })),
    ..BATCHES
};

fn version() -> Option<String> {
    Some(concat!("downbeat ", env!("CARGO_PKG_VERSION")).to_owned())
}

struct Ours {
    server: Downbeat,
    singles: bool,
}

impl Peer for Ours {
    fn run(&mut self, _: &Home, scripts: &[PathBuf]) -> Result<Duration, String> {
        let jobs = scripts.len();
        let rate = if self.singles {
            self.server.single_rate(&trivial(), jobs)
        } else {
            self.server.batch_rate(&trivial(), jobs)
        };
        Ok(Duration::from_secs_f64(jobs as f64 / rate))
    }

    fn submit(&mut self, _: &Home, script: &Path) -> Result<(), String> {
        let text = std::fs::read_to_string(script).map_err(|e| e.to_string())?;
        self.server.submit(&json!({ "script": text }));
        Ok(())
    }

    fn accepts(&mut self, _: &Home, count: usize) -> Result<f64, String> {
        self.server.hold(2);
        Ok(self.server.flood(&trivial(), count, BOUND).rate())
    }

    fn rss_mib(&self, _: &Home) -> f64 {
        rss_mib_of(&self.server.server.data())
    }
}
