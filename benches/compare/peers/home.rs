//! *Purpose*: a peer's world: a folder of its own, and all that it started.
//!
//! *Owns*: commands with a private home, daemons, patience, the end of it all.
//!
//! *Promises*: what was started here carries the folder's name in its environment, and when its
//! parent dies it becomes our child, for some hide their environment; when the [`Home`] is
//! dropped, on success or on failure, every such process is killed by its id and the folder is
//! gone. No command and no wait lasts longer than [`BOUND`].
//!
//! *Not here*: what is started (a file per peer).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_open, set_child_subreaper,
    wait,
};

use crate::common::{children, processes_of};

/// Longest turn, longest command.
pub const BOUND: Duration = Duration::from_secs(60);
/// How long the killed may take to be gone.
const GONE: Duration = Duration::from_secs(5);
/// Marks every process that was started here.
const MARK: &str = "DOWNBEAT_COMPARE_HOME";

/// The folder and the daemons.
pub struct Home {
    dir: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl Home {
    /// An empty one.
    pub fn new() -> Home {
        let dir = tempfile::tempdir().unwrap();
        // Some daemons insist that everybody can walk to their socket.
        let _older_kernel = set_child_subreaper(Some(getpid()));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Home { dir, daemons: Vec::new() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in the folder.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// A folder in the folder.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A file in the folder.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.at(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A command that takes the folder for the user's home.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).stdin(Stdio::null()).env("PATH", search_path());
        command.env(MARK, self.path()).env("HOME", self.path()).env("TMPDIR", self.path());
        command.env("TMUX_TMPDIR", self.path()).env_remove("TMUX");
        for name in ["CONFIG", "DATA", "STATE", "CACHE", "RUNTIME"] {
            let variable = if name == "RUNTIME" { "DIR" } else { "HOME" };
            command.env(format!("XDG_{name}_{variable}"), self.folder(&format!(".{name}")));
        }
        command
    }

    /// Starts something that stays; what it says goes to `log`.
    pub fn daemon(&mut self, mut command: Command) -> Result<(), String> {
        command.stdout(self.log()).stderr(self.log());
        let child = command.spawn().map_err(|e| format!("{command:?}: {e}"))?;
        self.daemons.push(child);
        Ok(())
    }

    /// Keeps a child until the end.
    pub fn keep(&mut self, child: Child) {
        self.daemons.push(child);
    }

    fn log(&self) -> File {
        File::options().create(true).append(true).open(self.at("log")).unwrap()
    }

    /// Runs a command to its end; answers what it printed.
    pub fn ask(&self, mut command: Command) -> Result<String, String> {
        let (out, err) = (self.at("answer"), self.at("complaint"));
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let what = format!("{:?}", command.get_program());
        let mut child = command.spawn().map_err(|e| format!("{what}: {e}"))?;
        if !ends(&child) {
            let _dead = child.kill();
            let _reaped = child.wait();
            return Err(format!("{what} did not end within {BOUND:?}"));
        }
        let status = child.wait().map_err(|e| e.to_string())?;
        let said = fs::read(&out).unwrap_or_default();
        if status.success() {
            return Ok(String::from_utf8_lossy(&said).into_owned());
        }
        let complaint = fs::read_to_string(&err).unwrap_or_default();
        Err(format!("{what}: {status}: {}", complaint.trim()))
    }

    /// Runs a line of shell, with these words as `$1`, `$2` …
    pub fn shell(&self, line: &str, words: &[&Path]) -> Result<String, String> {
        let mut command = self.command("/bin/sh");
        command.args(["-c", line, "sh"]).args(words);
        self.ask(command)
    }

    /// The last lines that the daemons wrote.
    pub fn last_words(&self) -> String {
        let log = fs::read(self.at("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let end = Instant::now() + GONE;
        while kill_all(self.path()) > 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        for daemon in &mut self.daemons {
            let _dead = daemon.kill();
            let _reaped = daemon.wait();
        }
        let _older_kernel = set_child_subreaper(None);
    }
}

/// Kills every process that carries this folder's name, and every child of ours, which orphans
/// are too as long as a [`Home`] lives; answers how many there were.
pub fn kill_all(folder: &Path) -> usize {
    let left: BTreeSet<u32> =
        processes_of(folder).into_iter().chain(children(std::process::id())).collect();
    for pid in left.iter().filter_map(|pid| Pid::from_raw(*pid as i32)) {
        let _gone_already = kill_process(pid, Signal::KILL);
    }
    // Orphans that became our children have nobody else to bury them.
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    left.len()
}

/// Waits for a child's end, without looking again and again.
fn ends(child: &Child) -> bool {
    let pid = Pid::from_child(child);
    let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let bound = Timespec { tv_sec: BOUND.as_secs() as i64, tv_nsec: 0 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&bound)) == Ok(1)
}

/// Looks every `pause` until `done`; an error after [`BOUND`].
pub fn until(
    what: &str,
    pause: Duration,
    mut done: impl FnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let end = Instant::now() + BOUND;
    while !done()? {
        if Instant::now() > end {
            return Err(format!("{what}: not within {BOUND:?}"));
        }
        std::thread::sleep(pause);
    }
    Ok(())
}

/// A port on loopback that nobody uses now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where programs are looked for: also where `cargo install` puts them.
pub fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let home = std::env::var("HOME").unwrap_or_default();
    format!("{path}:{home}/.cargo/bin:/usr/sbin")
}

/// What a program says about its version, in one line.
pub fn version(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", search_path()).stdin(Stdio::null());
    let said = command.output().ok()?;
    let text = [said.stdout, said.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    // Some go on with what they are for.
    line.split(" - ").next().map(str::to_owned)
}
