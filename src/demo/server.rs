//! *Purpose*: a server of one's own, in a folder of its own, for as long as it is wanted.
//!
//! *Owns*: [`PrivateServer`]: the process, its folder, its token, and all that descends from it.
//!
//! *Promises*: when [`PrivateServer::stop`] has returned or the value was dropped, no process
//! that came of it lives and its folder is gone; nothing is ended by a bare pid, and nothing
//! that this process had as a child before.
//!
//! *Not here*: what the server is used for (`demo`).

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Signal, WaitOptions};
use tempfile::TempDir;

use super::watch::News;
use crate::cli::client::Connect;
use crate::clock;
use crate::engine::local::proc::{self, Identity};

/// How long the server may take to end after SIGTERM; it promises five seconds.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How long its step daemon may take to end after it.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How often a process is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// A server in a temporary folder.
pub(super) struct PrivateServer {
    child: Child,
    identity: Option<Identity>,
    /// Children that this process had before: none of the demo's business.
    strangers: Vec<Identity>,
    folder: Option<TempDir>,
    token_file: PathBuf,
    log: PathBuf,
    stopped: bool,
}

impl PrivateServer {
    /// Starts it; what it prints arrives as news, its address among it.
    pub fn start(cpus: u32, news: Sender<News>) -> Result<PrivateServer> {
        let folder = tempfile::Builder::new()
            .prefix("downbeat-demo-")
            .tempdir()
            .context("no temporary folder can be made; is TMPDIR writable?")?;
        let (token_file, log) = (folder.path().join("token"), folder.path().join("server.log"));
        // On loopback every local user could reach it, and run commands as whoever runs this.
        write_token(&token_file)?;
        // It shows what this program does, not what this machine's settings make of it.
        let settings = folder.path().join("downbeat.toml");
        std::fs::write(&settings, "").context("the demo's settings cannot be written")?;
        // Whatever loses its parent below here becomes a child of this process, so that the end
        // of the server hides nothing from us.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let strangers = living_children();
        let program = std::env::current_exe().context("this program's own file is not known")?;
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg("--config")
            .arg(&settings)
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .args(["--listen", "127.0.0.1:0", "--kill-grace", "2s"])
            .args(["--cpus", &cpus.to_string()])
            .arg("--token-file")
            .arg(&token_file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).context("the server's log cannot be made")?)
            // Ctrl-C is for the demo alone: it then ends everything in the right order.
            .process_group(0);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DOWNBEAT_") {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn().context("the server cannot be started")?;
        let identity = i32::try_from(child.id()).ok().and_then(proc::stat).map(|s| s.identity);
        let stdout = child.stdout.take();
        let server = PrivateServer {
            child,
            identity,
            strangers,
            folder: Some(folder),
            token_file,
            log,
            stopped: false,
        };
        let stdout = stdout.context("the server's output cannot be read")?;
        // Read to its end, or a later line would end the server with a broken pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = news.send(News::ServerSaid(line));
            }
            let _ = news.send(News::ServerSilent);
        });
        Ok(server)
    }

    /// How to reach it at `address`.
    pub fn connect(&self, address: &str) -> Connect {
        Connect { server: Some(address.to_owned()), token_file: Some(self.token_file.clone()) }
    }

    /// Where it and its jobs keep everything.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new("/"), TempDir::path)
    }

    /// The last lines of its log: the first thing to read when it fails.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    /// Ends it and removes its folder; answers what was not as it should be, a sentence each.
    /// Jobs that still run would outlive their server: with `jobs_are_over` that is a fault,
    /// without it they are simply ended.
    pub fn stop(mut self, jobs_are_over: bool) -> Vec<String> {
        self.end(jobs_are_over)
    }

    fn end(&mut self, jobs_are_over: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        self.stopped = true;
        if let Some(identity) = self.identity {
            proc::signal(identity, Signal::TERM);
        }
        let mut status = None;
        let ended = until(STOP_WITHIN, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        match status {
            Some(status) if !status.success() => {
                wrong.push(format!("the server ended badly: {status}\n{}", self.last_words()));
            }
            Some(_) => {}
            None => wrong.push(format!("the server was still there {STOP_WITHIN:?} after SIGTERM")),
        }
        if !ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let patience = if jobs_are_over { GONE_WITHIN } else { Duration::ZERO };
        if !until(patience, || self.descendants().is_empty()) {
            let left = self.descendants();
            if jobs_are_over {
                wrong.push(format!("{} processes outlived the server: {left:?}", left.len()));
            }
            let gone = until(GONE_WITHIN, || {
                let living = self.descendants();
                for identity in &living {
                    proc::signal(*identity, Signal::KILL);
                }
                living.is_empty()
            });
            if !gone {
                wrong.push(format!("processes that cannot be ended: {:?}", self.descendants()));
            }
        }
        if let Some(folder) = self.folder.take() {
            let path = folder.path().to_owned();
            if let Err(error) = folder.close() {
                wrong.push(format!("the folder {} stays behind: {error}", path.display()));
            }
        }
        wrong
    }

    /// Every living process that came of the server. The dead ones are buried on the way; the
    /// server itself is waited for before, so that its status is not lost here.
    fn descendants(&self) -> Vec<Identity> {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        let mut living = Vec::new();
        for child in living_children().into_iter().filter(|c| !self.strangers.contains(c)) {
            living.push(child);
            proc::visit_descendants(child.pid, |seen| {
                if seen.is_alive() {
                    living.push(seen.identity);
                }
            });
        }
        living
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        if !self.stopped {
            self.end(false);
        }
    }
}

fn write_token(path: &Path) -> Result<()> {
    let token = uuid::Uuid::new_v4().simple().to_string();
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(token.as_bytes())).context("no token can be written")
}

fn living_children() -> Vec<Identity> {
    let me = i32::try_from(std::process::id()).unwrap_or_default();
    let children = proc::children(me).into_iter().filter_map(proc::stat);
    children.filter(|s| s.parent == me && s.is_alive()).map(|s| s.identity).collect()
}

/// Looks again and again until it is so; answers whether it was so in time.
fn until(within: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let start = clock::monotonic();
    while !is_so() {
        if clock::monotonic().duration_since(start) >= within {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    true
}
