//! *Purpose*: gflow, which runs jobs in terminals of tmux.
//!
//! *Owns*: its configuration and daemon, a tmux server of its own.
//!
//! *Promises*: a cap of two stands for the CPUs, which it does not count.
//!
//! *Not here*: GPUs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::home::{free_port, search_path, until, version};
use super::{Home, Kind, Peer};

/// Between two looks at its queue.
const LOOK: Duration = Duration::from_millis(100);

/// gflow.
pub const KIND: Kind = Kind {
    name: "gflow",
    install: "VERGEN_GIT_BRANCH=x VERGEN_GIT_SHA=x cargo install --locked gflow; \
              apt-get install tmux",
    client: "CLI",
    durable: "no",
    jobs: 6,
    probes: 10,
    gap_ms: 5_000,
    accepts: 10,
    version: || {
        version("tmux", &["-V"])?;
        version("gflowd", &["--version"])?.split(" (").next().map(str::to_owned)
    },
    start,
};

fn start(home: &mut Home) -> Result<Box<dyn Peer>, String> {
    home.folder(".CONFIG/gflow");
    let port = free_port();
    let config = format!("[daemon]\nhost = \"127.0.0.1\"\nport = {port}\n");
    home.file(".CONFIG/gflow/gflow.toml", &config);
    // Its jobs end by a command that a login shell must find.
    home.file(".bash_profile", &format!("export PATH='{}'\n", search_path()));
    home.daemon(home.command("gflowd"))?;
    until("gflowd", LOOK, || Ok(live(home).is_ok()))?;
    Ok(Box::new(Gflow))
}

/// Jobs that have not ended.
fn live(home: &Home) -> Result<usize, String> {
    let mut command = home.command("gqueue");
    command.args(["-u", "all", "-o", "json"]);
    let text = home.ask(command)?;
    Ok(["\"Queued\"", "\"Running\"", "\"Hold\""].map(|s| text.matches(s).count()).iter().sum())
}

struct Gflow;

impl Peer for Gflow {
    fn run(&mut self, home: &Home, scripts: &[PathBuf]) -> Result<Duration, String> {
        let mut command = home.command("gbatch");
        command.args(["--array", &format!("1-{}", scripts.len()), "--max-concurrent", "2"]);
        command.arg("--auto-close").arg(scripts.first().ok_or("no script")?);
        let before = Instant::now();
        home.ask(command)?;
        until("the last job", LOOK, || Ok(live(home)? == 0))?;
        Ok(before.elapsed())
    }

    fn submit(&mut self, home: &Home, script: &Path) -> Result<(), String> {
        let mut command = home.command("gbatch");
        command.arg("--auto-close").arg(script);
        home.ask(command).map(drop)
    }
}
