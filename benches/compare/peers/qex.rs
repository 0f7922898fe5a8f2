//! *Purpose*: qex.
//!
//! *Owns*: its configuration: the whole machine, no settling time, no neighbours, no look for a
//! newer version.
//!
//! *Promises*: each job claims one core of two.
//!
//! *Not here*: its pipelines.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::home::version;
use super::{Home, Kind, Peer};
use crate::limits;

/// qex.
pub const KIND: Kind = Kind {
    name: "qex",
    install: "cargo install --locked qex",
    client: "CLI",
    durable: "yes",
    jobs: 150,
    probes: 50,
    gap_ms: 100,
    accepts: 100,
    version: || version("qex", &["--version"]),
    start: |home| {
        home.folder(".CONFIG");
        home.file(".CONFIG/qex.toml", CONFIG);
        Ok(Box::new(Qex))
    },
};

const CONFIG: &str = "
[budget]
cpu = 2
mem = \"50%\"
[system]
reserve_mem = \"100MB\"
max_pressure = 100
[enforce]
mode = \"single-user\"
[peers]
enabled = false
[queue]
settle = \"0s\"
[politeness]
nice = 0
[update]
check = \"never\"
";

struct Qex;

impl Peer for Qex {
    fn run(&mut self, home: &Home, scripts: &[PathBuf]) -> Result<Duration, String> {
        let list = limits::list(home.path(), scripts);
        let before = Instant::now();
        let line = "while read -r script; do qex submit --cpu 1 --mem 10MB -- \"$script\"
            done <\"$1\" >ids; exec qex wait -q $(cat ids)";
        home.shell(line, &[&list])?;
        Ok(before.elapsed())
    }

    fn submit(&mut self, home: &Home, script: &Path) -> Result<(), String> {
        let mut command = home.command("qex");
        command.args(["submit", "--cpu", "1", "--mem", "10MB", "--"]).arg(script);
        home.ask(command).map(drop)
    }
}
