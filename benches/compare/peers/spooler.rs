//! *Purpose*: task-spooler.
//!
//! *Owns*: its socket, its slots, its list.
//!
//! *Promises*: all jobs of a turn are counted as finished.
//!
//! *Not here*: more jobs than wait at once: its client blocks near a thousand.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::home::version;
use super::{Home, Kind, Peer};
use crate::limits;

/// task-spooler.
pub const KIND: Kind = Kind {
    name: "task-spooler",
    install: "apt-get install task-spooler",
    client: "CLI",
    durable: "no",
    jobs: 600,
    probes: 100,
    gap_ms: 100,
    accepts: 300,
    version: || version("tsp", &["-V"]),
    start: |home| {
        Spooler.ask(home, &["-S", "2"])?;
        Ok(Box::new(Spooler))
    },
};

struct Spooler;

impl Spooler {
    fn command(home: &Home) -> Command {
        let mut command = home.command("tsp");
        command.env("TS_SOCKET", home.at("socket")).env("TS_SLOTS", "2");
        command.env("TS_MAXFINISHED", "5000");
        command
    }

    fn ask(&self, home: &Home, arguments: &[&str]) -> Result<String, String> {
        let mut command = Spooler::command(home);
        command.args(arguments);
        home.ask(command)
    }

    fn finished(&self, home: &Home) -> Result<usize, String> {
        Ok(self.ask(home, &[])?.lines().filter(|line| line.contains("finished")).count())
    }
}

impl Peer for Spooler {
    fn run(&mut self, home: &Home, scripts: &[PathBuf]) -> Result<Duration, String> {
        let list = limits::list(home.path(), scripts);
        let before_jobs = self.finished(home)?;
        let before = Instant::now();
        let line = "TS_SOCKET=$2; export TS_SOCKET
            while read -r script; do id=$(tsp \"$script\"); done <\"$1\"
            tsp -w $((id - 1)); tsp -w $id";
        home.shell(line, &[&list, &home.at("socket")])?;
        let elapsed = before.elapsed();
        let done = self.finished(home)? - before_jobs;
        // A probe of latency may have ended meanwhile too.
        if done >= scripts.len() { Ok(elapsed) } else { Err(format!("only {done} jobs finished")) }
    }

    fn submit(&mut self, home: &Home, script: &Path) -> Result<(), String> {
        let mut command = Spooler::command(home);
        command.arg(script);
        home.ask(command).map(drop)
    }
}
