//! *Purpose*: pueue.
//!
//! *Owns*: its configuration and daemon.
//!
//! *Promises*: two tasks at once; a turn counts to the last task that its status shows as done.
//!
//! *Not here*: its own `wait`, which looks every few seconds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::home::{until, version};
use super::{Home, Kind, Peer};
use crate::limits;

/// Between two looks at its status; an answer takes it some ten milliseconds.
const LOOK: Duration = Duration::from_millis(50);

/// pueue.
pub const KIND: Kind = Kind {
    name: "pueue",
    install: "cargo install --locked pueue",
    client: "CLI",
    durable: "written, not synced",
    jobs: 20,
    probes: 20,
    gap_ms: 700,
    accepts: 100,
    version: || version("pueue", &["--version"]),
    start,
};

fn start(home: &mut Home) -> Result<Box<dyn Peer>, String> {
    let path = home.path().display();
    let config = format!(
        "shared:\n  pueue_directory: {path}/pueue\n  runtime_directory: {path}/pueue\n  \
         use_unix_socket: true\n  unix_socket_path: {path}/socket\nclient: {{}}\ndaemon: {{}}\n"
    );
    home.folder("pueue");
    home.file("pueue.yml", &config);
    let mut daemon = home.command("pueued");
    daemon.args(["-c", "pueue.yml"]);
    home.daemon(daemon)?;
    until("pueued", LOOK, || Ok(home.ask(pueue(home, &["parallel", "2"])).is_ok()))?;
    Ok(Box::new(Pueue))
}

fn pueue(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.command("pueue");
    command.args(["-c", "pueue.yml"]).args(arguments);
    command
}

/// Tasks that have not ended.
fn live(home: &Home) -> Result<usize, String> {
    let text = home.ask(pueue(home, &["status", "--json"]))?;
    let status: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let tasks = status["tasks"].as_object().ok_or("no tasks in its status")?;
    Ok(tasks.values().filter(|task| task["status"]["Done"].is_null()).count())
}

struct Pueue;

impl Peer for Pueue {
    fn run(&mut self, home: &Home, scripts: &[PathBuf]) -> Result<Duration, String> {
        let list = limits::list(home.path(), scripts);
        let before = Instant::now();
        home.shell("while read -r s; do pueue -c pueue.yml add -- \"$s\"; done <\"$1\"", &[&list])?;
        until("the last task", LOOK, || Ok(live(home)? == 0))?;
        Ok(before.elapsed())
    }

    fn submit(&mut self, home: &Home, script: &Path) -> Result<(), String> {
        let mut command = pueue(home, &["add", "--"]);
        command.arg(script);
        home.ask(command).map(drop)
    }
}
