//! *Purpose*: which processes are killed in a round, and how they are found.
//!
//! *Owns*: [`Targets`]; reading the spool as an outsider.
//!
//! *Promises*: nobody is killed by a bare number: what a file says is held against the tick at
//! which the process with that number started.
//!
//! *Not here*: what a job may become when its supervisor was killed (`job`).

use std::fmt;
use std::fs;

use downbeat::engine::local::proc::{Identity, open, signal};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::common::Server;

/// Who dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Targets {
    pub server: bool,
    pub daemon: bool,
    pub supervisor: bool,
    pub script: bool,
    /// Every supervisor and every script, not one.
    pub all: bool,
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.server, "server"),
            (self.daemon, "step daemon"),
            (self.supervisor && !self.all, "a supervisor"),
            (self.script && !self.all, "a script's group"),
            (self.all, "all supervisors and scripts"),
        ];
        let names: Vec<&str> = names.iter().filter(|(dies, _)| *dies).map(|(_, n)| *n).collect();
        f.pad(&names.join(" + "))
    }
}

/// Whose deaths matter to which jobs.
#[derive(Default)]
pub struct Killed {
    pub supervisors: Vec<i64>,
    pub scripts: Vec<i64>,
    pub daemon: bool,
}

impl Targets {
    /// Mostly the server.
    pub fn choose(rng: &mut fastrand::Rng) -> Targets {
        let (server, daemon, supervisor, script) = match rng.u8(0..100) {
            0..55 => (true, false, false, false),
            55..65 => (false, true, false, false),
            65..73 => (false, false, true, false),
            73..80 => (false, false, false, true),
            80..88 => (true, true, false, false),
            88..95 => (true, false, true, false),
            _ => (true, true, true, true),
        };
        Targets { server, daemon, supervisor, script, all: server && script }
    }

    /// Kills them all, found before the first dies.
    pub fn kill(self, server: &mut Server) -> Killed {
        let daemon = if self.daemon { daemon(server) } else { None };
        let mut attempts = if self.supervisor || self.script { attempts(server) } else { vec![] };
        if !self.all {
            attempts.truncate(1);
        }
        let mut killed = Killed::default();
        if self.server {
            server.kill();
        }
        killed.daemon = daemon.is_some_and(|daemon| signal(daemon, Signal::KILL));
        let mut dead = Vec::new();
        for attempt in attempts {
            if self.supervisor
                && let Some(one) = attempt.supervisor.filter(|one| signal(*one, Signal::KILL))
            {
                killed.supervisors.push(attempt.job);
                dead.push(one);
            }
            if self.script && attempt.script.is_some_and(kill_group) {
                killed.scripts.push(attempt.job);
            }
        }
        if !dead.is_empty() {
            killed.supervisors.extend(taken_along(server, &dead));
        }
        killed
    }
}

struct Attempt {
    job: i64,
    supervisor: Option<Identity>,
    script: Option<Identity>,
}

fn identity(words: &str) -> Option<Identity> {
    let mut words = words.split_whitespace();
    Some(Identity { pid: words.next()?.parse().ok()?, ticks: words.next()?.parse().ok()? })
}

fn line(text: &str, word: &str) -> Option<Identity> {
    identity(text.lines().find_map(|line| line.strip_prefix(word))?)
}

/// What the spool holds and has not ended, youngest first.
fn attempts(server: &Server) -> Vec<Attempt> {
    let entries = fs::read_dir(server.data().join("spool")).unwrap().flatten();
    let mut found: Vec<Attempt> = entries
        .filter_map(|entry| {
            let job = entry.file_name().to_str()?.split('.').next()?.parse().ok()?;
            let text = fs::read_to_string(entry.path().join("state")).ok()?;
            let (supervisor, script) = (line(&text, "supervisor "), line(&text, "script "));
            supervisor.and_then(open)?;
            Some(Attempt { job, supervisor, script })
        })
        .collect();
    found.sort_by_key(|attempt| std::cmp::Reverse(attempt.job));
    found
}

/// Whose supervisor had gone on to them when it was killed as that of another.
fn taken_along(server: &Server, dead: &[Identity]) -> Vec<i64> {
    let entries = fs::read_dir(server.data().join("spool")).unwrap().flatten();
    let theirs = entries.filter_map(|entry| {
        let job = entry.file_name().to_str()?.split('.').next()?.parse().ok()?;
        let text = fs::read_to_string(entry.path().join("state")).ok()?;
        // One that has not said who it is may be any.
        let of_dead = line(&text, "supervisor ").is_none_or(|one| dead.contains(&one));
        (of_dead && !entry.path().join("exit").exists()).then_some(job)
    });
    theirs.collect()
}

fn daemon(server: &Server) -> Option<Identity> {
    let text = fs::read_to_string(server.data().join("stepd.lock")).ok()?;
    line(&text, "supervisor ")
}

fn kill_group(script: Identity) -> bool {
    let Some(group) = open(script).and_then(|_| Pid::from_raw(script.pid)) else { return false };
    kill_process_group(group, Signal::KILL).is_ok()
}
